"""A controller by Modbus TCP, or a client of OPC UA, that watches a line, as a process of its own.

    python -m bench.support.controllers modbus ADDRESS
    python -m bench.support.controllers opcua ENDPOINT

modbus   reads all registers of the line, by default every 20 ms
opcua    is subscribed to all nodes of the line, and told every 100 ms of changes
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import typer
from asyncua import Client
from pymodbus.client import ModbusTcpClient

from bench.support.turns import LINE
from rig.address import wait_until_listening

POLL_S, PUBLISH_MS = 0.02, 100
ROOT = Path(__file__).parents[2]
app = typer.Typer(add_completion=False)


@contextmanager
def controller(kind: str, place: str, *options: str) -> Iterator[None]:
    """It watches while the block lasts; raises AssertionError where it has given up."""
    wait_until_listening(urlsplit(place).netloc or place)
    command = [sys.executable, "-m", "bench.support.controllers", kind, place, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
            assert process.poll() is None, f"the client of {kind} has ended"
        finally:
            process.kill()


@app.command()
def modbus(address: str, every_s: float = POLL_S) -> None:
    """Be a controller that polls."""
    host, _, port = address.partition(":")
    with ModbusTcpClient(host, port=int(port)) as client:
        _watches()
        while not client.read_input_registers(0, count=100).isError():
            time.sleep(every_s)


@app.command()
def opcua(endpoint: str) -> None:
    """Be a client that is subscribed."""
    asyncio.run(_subscribed(endpoint))


async def _subscribed(endpoint: str) -> None:
    async with Client(endpoint) as client:
        subscription = await client.create_subscription(PUBLISH_MS, _Deaf())
        index = await client.get_namespace_index("urn:onegauge")
        line = client.get_node(f"ns={index};s={LINE}.Line")
        await subscription.subscribe_data_change(await line.get_children())
        _watches()
        await asyncio.Event().wait()


class _Deaf:
    """What a subscription tells."""

    def datachange_notification(self, *_: object) -> None:
        """Nothing is made of it."""


def _watches() -> None:
    sys.stdout.write("watches\n")
    sys.stdout.flush()


if __name__ == "__main__":
    app()
