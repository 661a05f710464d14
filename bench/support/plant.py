"""What a plant has beside a gateway, each in a process of its own: who is told of decisions.

receiver    docs/examples/mes.py, which writes each event to a disk
broker      mosquitto
controller  reads all registers of a line by Modbus TCP
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from pymodbus.client import ModbusTcpClient

from bench.support.controllers import controller
from bench.support.turns import LINE
from rig.address import free_address, wait_until_listening
from rig.mosquitto import USER, Mosquitto, mosquitto
from rig.subscriber import Subscriber, subscriber

RECEIVER = Path(__file__).parents[2] / "docs" / "examples" / "mes.py"
POLL_S, TOTAL = 0.1, 44  # how often the controller reads; the register that counts results


@dataclass(frozen=True)
class Mes:
    """A receiver that listens."""

    url: str
    secret_file: Path
    events: Path

    @property
    def table(self) -> str:
        """The settings of a sink that posts to it."""
        return webhook(self.url, self.secret_file)

    def count(self) -> int:
        """Events that are on its disk, each once."""
        with closing(sqlite3.connect(self.events)) as rows:
            (count,) = rows.execute("SELECT count(*) FROM events").fetchone()
        return int(count)


def webhook(url: str, secret_file: Path) -> str:
    """The settings of a sink that posts to an address."""
    return f'kind = "webhook"\nurl = "{url}"\nsecret_file = "{secret_file}"\n'


def mqtt(broker: Mosquitto) -> str:
    """The settings of a sink that publishes to a broker."""
    user = f'user = "{USER}"\npassword_file = "{broker.password_file}"\n'
    return f'kind = "mqtt"\nurl = "{broker.url}"\n{user}'


def modbus(address: str, line: str) -> str:
    """The settings of a sink that a controller reads."""
    return f'kind = "modbus"\naddress = "{address}"\nlines = ["{line}"]\n'


@contextmanager
def mes(folder: Path) -> Iterator[Mes]:
    """A receiver, with its table and its secret in a folder."""
    address = free_address()
    secret, events = folder / "secret", folder / "events.db"
    secret.write_text("0123456789abcdef")
    command = [sys.executable, RECEIVER, events, secret, address.rpartition(":")[2]]
    with subprocess.Popen(command) as process:
        try:
            wait_until_listening(address)
            yield Mes(f"http://{address}", secret, events)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Plant:
    """All of them, and what has reached them of a gateway."""

    settings: dict[str, str]
    mes: Mes
    subscribed: Subscriber
    address: str  # where the controller reads

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The controller reads while the block lasts; raises AssertionError where it gave up."""
        with controller("modbus", self.address, f"--every-s={POLL_S}"):
            yield

    def arrived(self, decided: int, within_s: float) -> dict[str, int]:
        """How many events each has, once that is all or the time is over."""
        deadline = monotonic() + within_s
        while True:
            found = {
                "webhook": self.mes.count(),
                "mqtt": len({json.loads(heard.payload)["id"] for heard in self.subscribed.heard}),
                "modbus": self._total(),
            }
            if set(found.values()) == {decided} or monotonic() > deadline:
                return found
            sleep(1)

    def _total(self) -> int:
        host, _, port = self.address.partition(":")
        with ModbusTcpClient(host, port=int(port)) as client:
            high, low = client.read_input_registers(TOTAL, count=2).registers
        return int(high << 16 | low)


@contextmanager
def plant(folder: Path) -> Iterator[Plant]:
    """All of them, with their files in a folder."""
    (folder / "broker").mkdir()
    address = free_address()
    with mes(folder) as receiver, mosquitto(folder / "broker") as broker:
        tables = {"mes": receiver.table, "broker": mqtt(broker), "plc": modbus(address, LINE)}
        sinks = folder / "sinks.toml"
        sinks.write_text("\n".join(f"[{name}]\n{table}" for name, table in tables.items()))
        with subscriber(broker, "onegauge/+/inspection") as subscribed:
            yield Plant({"ONEGAUGE_SINKS": str(sinks)}, receiver, subscribed, address)
