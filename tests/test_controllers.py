"""Controllers trigger a real gateway and poll for its answer, by Modbus and by OPC UA."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from asyncua import Client as AsyncClient
from asyncua import Node
from asyncua.ua import UaStatusCodeError
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from rig.address import free_address, wait_until_listening
from rig.gateway_process import Process, gateway_process
from tests.line import wait_until
from tests.service.sinks.opcua.scada import WITHIN_S, Scada, scada

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "plc.py"
LINE, BASE = "line-1", 100  # the second line of the settings
LOST_S = 20.0  # after which a question that was not answered is asked again
FLOAT, TEXT = ModbusTcpClient.DATATYPE.FLOAT32, ModbusTcpClient.DATATYPE.STRING


class Plant:
    """A gateway that controllers of two lines may ask, and that can be started again."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self._repository, self._sinks = repository, folder / "sinks.toml"
        self._running = ExitStack()
        self.modbus, self.opcua = free_address(), f"opc.tcp://{free_address()}/onegauge"
        self._sinks.write_text(
            f'[plc]\nkind = "modbus"\naddress = "{self.modbus}"\nlines = ["line-0", "{LINE}"]\n'
            f'[scada]\nkind = "opcua"\nendpoint = "{self.opcua}"\nlines = ["{LINE}"]\n'
        )

    def __enter__(self) -> "Plant":
        running = gateway_process(self._repository, ONEGAUGE_SINKS=str(self._sinks))
        self._gateway: Process = self._running.enter_context(running)
        for address in (self.modbus, urlsplit(self.opcua).netloc):
            wait_until_listening(address)
        return self

    def __exit__(self, *_: object) -> None:
        self._gateway.popen.terminate()
        assert self._gateway.end()[0] == 0
        self._running.close()

    def start_again(self) -> None:
        self.__exit__()
        self.__enter__()

    def inspect(self, image: bytes, **options: str) -> dict[str, Any]:
        """What is answered to who sends the image, which no controller sees."""
        asked = {"line": LINE, **options}
        answer = httpx.post(f"{self._gateway.url}/inspect", files={"image": image}, params=asked)
        (result,) = answer.json()["results"]
        return result

    @contextmanager
    def plc(self) -> Iterator["Plc"]:
        host, _, port = self.modbus.partition(":")
        with ModbusTcpClient(host, port=int(port), timeout=WITHIN_S) as client:
            yield Plc(client)

    def scada(self) -> AbstractContextManager[Scada]:
        return scada(self.opcua, LINE)


class Plc:
    """A controller that has the table of registers."""

    def __init__(self, client: ModbusTcpClient) -> None:
        self.client = client

    def trigger(self, number: int, part: str = "") -> None:
        """Write a trigger and its part in one request."""
        words = self.client.convert_to_registers(part.ljust(32, "\0"), TEXT)
        self.client.write_registers(BASE + 80, [number, *words])

    def block(self) -> list[int]:
        """All registers of the line."""
        return self.client.read_holding_registers(BASE, count=100).registers

    def answer(self, trigger: int) -> list[int]:
        """The registers, as soon as they have the answer to a trigger."""
        wait_until(lambda: self.block()[1] == trigger)
        return self.block()


@pytest.fixture(scope="module")
def plant(gauge_repository, tmp_path_factory) -> Iterator[Plant]:
    with Plant(gauge_repository, tmp_path_factory.mktemp("plant")) as plant:
        yield plant


@pytest.mark.parametrize("part", ["", "4711"])
def test_plc_by_modbus_reads_what_was_answered(plant, normal, defective, part):
    with plant.plc() as plc:
        for trigger, image, code in ((1, defective, 2), (2, normal, 1)):
            plc.trigger(trigger, part)
            assert plc.block()[0] == 1
            result = plant.inspect(image, part="4711")
            block = plc.answer(trigger)
            assert block[:3] == [2, trigger, code]
            numbers = [
                plc.client.convert_from_registers(block[at : at + 2], FLOAT) for at in (4, 6)
            ]
            assert numbers == pytest.approx([result["score"], result["p_value"]], rel=1e-6)
            assert plc.client.convert_from_registers(block[10:26], TEXT) == "4711"
            assert plc.client.convert_from_registers(block[26:42], TEXT) == result["inspection"]
        plc.trigger(0)
        assert plc.block()[0] == 0


def test_controller_by_opc_ua_reads_what_was_answered(plant, normal, defective):
    with plant.scada() as line:
        for trigger, image in ((1, defective), (2, normal)):
            line.write(TriggerPart="4711", Trigger=trigger)
            assert line.read("State") == [1]
            result = plant.inspect(image, part="4711")
            line.until("ResultTrigger", trigger)
            told = line.read("DecisionText", "Score", "PValue", "Inspection")
            names = ("decision", "score", "p_value", "inspection")
            assert told == [result[name] for name in names]
        line.write(TriggerPart="", Trigger=0)


def test_both_count_the_same_without_a_trigger(plant, normal, defective):
    with plant.plc() as plc, plant.scada() as line:
        (before,) = line.read("Total")
        last = [plant.inspect(image)["inspection"] for image in (normal, defective)][-1]
        line.until("LastInspection", last)
        wait_until(lambda: plc.block()[45] == before + 2)
        counts = line.read("Total", "Normal", "Anomalous", "Unknown", "Incomplete")
        assert plc.block()[44:54] == [word for count in counts for word in (0, count)]
        assert plc.block()[54] == line.read("LastDecision")[0] == 2


@pytest.mark.parametrize(("picture", "status"), [("normal", 0), ("defective", 1)])
def test_example_of_a_plc_is_enough(plant, picture, status, request):
    # its line is the first one
    command = [sys.executable, EXAMPLE, plant.modbus, "4711"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as example:
        assert example.stdout.readline() == "triggered: take the picture\n"
        plant.inspect(request.getfixturevalue(picture), line="line-0", part="4711")
        assert example.wait(WITHIN_S) == status


def test_example_of_a_plc_without_a_gateway_has_no_decision():
    done = subprocess.run(
        [sys.executable, EXAMPLE, free_address()], stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 3
    assert b"Failed to connect" in done.stderr


def test_commands_of_the_library_see_the_nodes(plant, normal):
    plant.inspect(normal)

    def told(command: str, *arguments: str) -> str:
        program = Path(sys.executable).with_name(command)
        done = subprocess.run(
            [program, "-u", plant.opcua, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout

    assert LINE in told("uals", "-p", "0:Objects,2:onegauge")
    node = f"ns=2;s={LINE}.LastDecisionText"
    wait_until(lambda: told("uaread", "-n", node).strip() == "normal")


def test_part_of_several_views_is_answered_by_its_decision(plant, normal, defective):
    with plant.plc() as plc:
        plc.trigger(11, "4711")
        views = [plant.inspect(image, part="4711", views="2") for image in (defective, normal)]
        block = plc.answer(11)
        assert block[:3] == [2, 11, 2]
        assert plc.client.convert_from_registers(block[10:26], TEXT) == "4711"
        inspection = plc.client.convert_from_registers(block[26:42], TEXT)
        assert inspection not in [view["inspection"] for view in views]
        plc.trigger(0)


def test_heartbeats_advance(plant):
    with plant.plc() as plc, plant.scada() as line:
        first, (other,) = plc.block()[42], line.read("Heartbeat")
        wait_until(lambda: plc.block()[42] > first and line.read("Heartbeat")[0] > other)


def test_decision_on_another_line_is_no_answer(plant, normal, defective):
    with plant.plc() as plc:
        plc.trigger(7)
        plant.inspect(defective, line="line-0")
        plant.inspect(normal)
        assert plc.answer(7)[:3] == [2, 7, 1]
        plc.trigger(0)


async def read_again(node: Node) -> object:
    """The value of a node, None while its server is away or the session is not open again.

    What is asked while the client opens it may never be answered.
    """
    with suppress(ConnectionError, TimeoutError, UaStatusCodeError):
        return await node.read_value()
    return None


def test_clients_come_back_to_a_gateway_that_was_started_again(plant, defective):
    async def polls() -> None:
        client = AsyncClient(plant.opcua, LOST_S, auto_reconnect=True, reconnect_max_delay=0.2)
        async with client, asyncio.timeout(WITHIN_S):
            index = await client.get_namespace_index("urn:onegauge")
            node = client.get_node(f"ns={index};s={LINE}.LastDecision")
            await asyncio.to_thread(plant.start_again)
            await asyncio.to_thread(plant.inspect, defective)
            while await read_again(node) != 2:
                await asyncio.sleep(0.05)

    with plant.plc() as plc:
        plc.trigger(9)
        asyncio.run(polls())
        with pytest.raises(ModbusException):
            plc.block()
        plc.client.connect()
        block = plc.block()
    assert block[:2] == [0, 0]  # the trigger is forgotten, which tells the controller
    assert block[44:46] == [0, 1]
