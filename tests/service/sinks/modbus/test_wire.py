"""Against the client of pymodbus, over TCP."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Barrier, Thread

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ConnectionException
from pymodbus.pdu import ModbusPDU

from onegauge.service.sinks.errors import SinkUnavailable
from onegauge.service.sinks.modbus.settings import ModbusSettings
from onegauge.service.sinks.wire import Wire
from rig.address import free_address, wait_until_listening
from tests.service.sinks.decided import decided

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS = 1, 2
WITHIN_S = 300.0  # also beside other work
Client = ModbusTcpClient


@contextmanager
def listening(address: str, *lines: str) -> Iterator[Wire]:
    wire = ModbusSettings(kind="modbus", address=address, lines=lines).wire("plc", "test")
    wire.open()
    try:
        wait_until_listening(address)
        yield wire
    finally:
        wire.close()


@contextmanager
def connected(address: str) -> Iterator[Client]:
    host, _, port = address.partition(":")
    with ModbusTcpClient(host, port=int(port), timeout=WITHIN_S) as client:
        yield client


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Wire, str]]:
    address = free_address()
    with listening(address, "line-1", "line-2") as wire:
        yield wire, address


@pytest.fixture
def wire(server) -> Wire:
    return server[0]


@pytest.fixture
def address(server) -> str:
    return server[1]


@pytest.fixture
def plc(address) -> Iterator[Client]:
    with connected(address) as client:
        yield client


def refused(answer: ModbusPDU) -> bool:
    return answer.isError() and answer.exception_code == ILLEGAL_ADDRESS


def now(decision: str = "normal", **known: object):
    return decided(decision, time=datetime.now(UTC), **known)


def test_controller_gets_the_answer_to_its_trigger(wire, plc):
    plc.write_register(80, 7)
    assert plc.read_holding_registers(0, count=2).registers == [1, 0]
    wire.send([now("anomalous", score=1.5)])
    assert plc.read_holding_registers(0, count=4).registers == [2, 7, 2, 1500]
    plc.write_register(80, 0)
    assert plc.read_holding_registers(0, count=4).registers == [0, 7, 2, 1500]


def test_trigger_and_part_in_one_write_are_of_that_part(wire, plc):
    part = plc.convert_to_registers("4711", plc.DATATYPE.STRING)
    plc.write_registers(80, [8, *part])
    wire.send([now("anomalous", part="4710"), now(part="4711")])
    block = plc.read_input_registers(0, count=100).registers
    assert block[:3] == [2, 8, 1]
    assert plc.convert_from_registers(block[10:26], plc.DATATYPE.STRING) == "4711"
    plc.write_registers(80, [0] * 17)


def test_each_line_has_a_block_of_its_own_in_the_order_of_the_settings(wire, plc):
    plc.write_register(180, 9)
    wire.send([now("anomalous", line="line-2", score=2.5), now(line="line-3")])
    assert plc.read_input_registers(100, count=4).registers == [2, 9, 2, 2500]
    assert plc.read_input_registers(1, count=1).registers != [9]
    assert plc.read_discrete_inputs(100, count=4).bits[:4] == [True, False, False, True]
    both = plc.read_input_registers(78, count=25).registers
    assert both[22:25] == [2, 9, 2]
    wire.send([now(line="line-2")])
    assert plc.read_discrete_inputs(96, count=16).bits[9:11] == [True, False]


def test_all_functions_that_read_see_the_same(wire, plc):
    wire.send([now(line="line-2", score=0.5)])
    words = plc.read_input_registers(144, count=50).registers
    assert words == plc.read_holding_registers(144, count=50).registers
    assert words[10:12] == [1, 500]
    bits = plc.read_discrete_inputs(105, count=3).bits
    assert bits == plc.read_coils(105, count=3).bits
    assert bits[:3] == [True, False, False]


def test_unit_does_not_matter(plc):
    for unit in (0, 1, 17, 255):
        assert not plc.read_input_registers(0, count=1, device_id=unit).isError()


def test_only_trigger_and_part_are_written(plc):
    assert refused(plc.write_register(2, 1))
    assert refused(plc.write_registers(96, [0, 0]))
    assert plc.write_coil(80, True).exception_code == ILLEGAL_FUNCTION
    assert plc.write_coils(80, [True]).exception_code == ILLEGAL_FUNCTION
    assert refused(
        plc.readwrite_registers(read_address=0, read_count=2, write_address=2, values=[1])
    )


def test_write_and_read_in_one_request_and_by_mask(plc):
    answer = plc.readwrite_registers(read_address=0, read_count=2, write_address=80, values=[11])
    assert answer.registers == [1, 0]
    plc.mask_write_register(address=80, and_mask=0, or_mask=12)
    assert plc.read_holding_registers(80, count=1).registers == [12]
    plc.write_register(80, 0)


def test_lines_that_are_not_listed_have_no_address(plc):
    assert refused(plc.read_input_registers(200, count=1))
    assert refused(plc.read_input_registers(199, count=2))
    assert refused(plc.read_coils(224, count=1))
    assert refused(plc.write_register(280, 1))


def test_several_controllers_at_once(wire, address):
    seen: list[list[int]] = []
    together = Barrier(4)

    def poll() -> None:
        with connected(address) as plc:
            together.wait(30)
            for _ in range(20):
                seen.append(plc.read_input_registers(100, count=4).registers)

    wire.send([now("anomalous", line="line-2")])
    pollers = [Thread(target=poll) for _ in range(4)]
    for poller in pollers:
        poller.start()
    for poller in pollers:
        poller.join()
    assert len(seen) == 80
    assert seen.count(seen[0]) == 80


def test_port_that_is_taken_is_named(address):
    taken = pytest.raises(SinkUnavailable, match=f"Modbus server on {address} cannot .*in use")
    with taken, listening(address, "line-1"):
        pass


def test_host_that_is_not_ours_is_named():
    unknown = pytest.raises(SinkUnavailable, match="no-such-host.invalid:5020")
    with unknown, listening("no-such-host.invalid:5020", "line-1"):
        pass


def test_controller_comes_back_to_a_server_that_was_opened_again():
    address = free_address()
    with listening(address, "line-1") as wire, connected(address) as plc:
        plc.write_register(80, 7)
        wire.send([now("anomalous")])
        assert plc.read_input_registers(54, count=1).registers == [2]
        wire.close()
        with pytest.raises(SinkUnavailable, match="has ended"):
            wire.send([now()])
        wire.open()
        wait_until_listening(address)
        with pytest.raises(ConnectionException):
            plc.read_input_registers(54, count=1)
        assert plc.connect()
        block = plc.read_holding_registers(0, count=100).registers
        assert (block[45], block[54]) == (2, 1)  # nothing is forgotten but the trigger
        assert (block[0], block[80]) == (0, 0)
        plc.write_register(80, 7)
        assert plc.read_input_registers(0, count=2).registers == [1, 0]


def test_all_lines_that_fit_are_there():
    address, lines = free_address(), [f"line-{number}" for number in range(655)]
    with listening(address, *lines) as wire, connected(address) as plc:
        wire.send([now("anomalous", line=lines[-1])])
        assert plc.read_input_registers(65_454, count=1).registers == [2]
        assert plc.read_discrete_inputs(65_406, count=1).bits[0]
