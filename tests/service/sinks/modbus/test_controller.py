"""What comes over TCP in pieces, at once, or is no Modbus."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from onegauge.service.sinks.modbus.controller import Controller
from onegauge.service.sinks.modbus.memory import Memory
from onegauge.service.sinks.modbus.registers import Registers
from onegauge.service.sinks.modbus.settings import ModbusSettings
from onegauge.service.sinks.station import Station
from rig.address import free_address, wait_until_listening

READ_TRIGGER = bytes.fromhex("0001 0000 0006 11 03 0050 0001")
ITS_ANSWER = bytes.fromhex("0001 0000 0005 11 03 02 0000")
WITHIN_S = 30.0


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    address = free_address()
    wire = ModbusSettings(kind="modbus", address=address, lines=("line-1",)).wire("plc", "test")
    wire.open()
    wait_until_listening(address)
    host, _, port = address.partition(":")
    yield host, int(port)
    wire.close()


@pytest.fixture
def plc(address) -> Iterator[socket.socket]:
    with socket.create_connection(address, WITHIN_S) as plc:
        plc.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield plc


def received(plc: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := plc.recv(size - len(data))):
        data += more
    return data


def test_request_in_pieces_is_answered_once_it_is_whole(plc):
    for byte in READ_TRIGGER:
        plc.sendall(bytes((byte,)))
    assert received(plc, len(ITS_ANSWER)) == ITS_ANSWER


def test_several_requests_at_once_are_answered_in_their_order(plc):
    numbers = range(300, 400)
    asked = [number.to_bytes(2, "big") + READ_TRIGGER[2:] for number in numbers]
    plc.sendall(b"".join(asked) + READ_TRIGGER[:9])
    wanted = [number.to_bytes(2, "big") + ITS_ANSWER[2:] for number in numbers]
    assert received(plc, sum(map(len, wanted))) == b"".join(wanted)
    plc.sendall(READ_TRIGGER[9:])
    assert received(plc, len(ITS_ANSWER)) == ITS_ANSWER


@pytest.mark.parametrize(
    "told",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes.fromhex("0001 0000 0001 11"),
        bytes.fromhex("0001 0000 00ff 11 03"),
        bytes.fromhex("0001 0001 0006 11 03 0050 0001"),
    ],
)
def test_who_speaks_another_protocol_is_let_go(plc, told):
    plc.sendall(told)
    assert plc.recv(1) == b""


class Full(asyncio.Transport):
    """A connection whose buffers are full after each answer."""

    def __init__(self) -> None:
        super().__init__()
        self.controller = Controller(Memory([Registers(Station(5.0), "big")]), set())
        self.controller.connection_made(self)
        self.answers: list[bytes] = []
        self.reading = True

    def write(self, data: bytes) -> None:
        self.answers.append(data)
        self.controller.pause_writing()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def test_who_does_not_read_its_answers_gets_no_more():
    full = Full()
    full.controller.data_received(READ_TRIGGER * 3)
    assert (full.answers, full.reading) == ([ITS_ANSWER], False)
    full.controller.resume_writing()
    assert (full.answers, full.reading) == ([ITS_ANSWER] * 2, False)
    full.controller.resume_writing()
    full.controller.resume_writing()
    assert (full.answers, full.reading) == ([ITS_ANSWER] * 3, True)
