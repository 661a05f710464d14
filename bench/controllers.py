"""What it costs the gateway that controllers watch it, in one run.

    python -m bench.controllers

off      without sinks
modbus   a controller reads all registers of the line every 20 ms
opcua    a client is subscribed to all nodes of the line, and told every 100 ms of changes

They take turns, as `bench/support/turns.py` tells. The clients are on the same machine, and stand
still while it is not the turn of their gateway.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import typer
from asyncua import Client
from pymodbus.client import ModbusTcpClient

from bench.support.figures import keep
from bench.support.turns import LINE, folder_on_disk, gateways
from rig.address import free_address, wait_until_listening

POLL_S, PUBLISH_MS = 0.02, 100
ROOT = Path(__file__).parents[1]
app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def measure(context: typer.Context, seconds: float = 8, rounds: int = 6) -> None:
    """Measure, print a table, keep the figures."""
    if context.invoked_subcommand:
        return
    places = {"modbus": free_address(), "opcua": f"opc.tcp://{free_address()}/onegauge"}
    with folder_on_disk() as folder, ExitStack() as stack:
        settings = {"off": {}} | {kind: _settings(folder, kind, at) for kind, at in places.items()}
        turns = stack.enter_context(gateways(settings))
        clients = {kind: stack.enter_context(_client(kind, at)) for kind, at in places.items()}
        turns.beside = lambda name: _awake(clients.get(name))
        turns.measure(seconds, rounds)
        for kind, client in clients.items():
            if client.poll() is not None:
                sys.exit(f"the client of {kind} has ended")
    keep(f"controllers on {len(os.sched_getaffinity(0))} cores", turns.report())


@app.command()
def modbus(address: str) -> None:
    """Be a controller that polls."""
    host, _, port = address.partition(":")
    with ModbusTcpClient(host, port=int(port)) as client:
        while not client.read_input_registers(0, count=100).isError():
            time.sleep(POLL_S)


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
        await asyncio.Event().wait()


class _Deaf:
    """What a subscription tells."""

    def datachange_notification(self, *_: object) -> None:
        """Nothing is made of it."""


def _settings(folder: Path, kind: str, place: str) -> dict[str, str]:
    key = "address" if kind == "modbus" else "endpoint"
    file = folder / f"{kind}.toml"
    file.write_text(f'[{kind}]\nkind = "{kind}"\n{key} = "{place}"\nlines = ["{LINE}"]\n')
    return {"ONEGAUGE_SINKS": str(file)}


@contextmanager
def _client(kind: str, place: str) -> Iterator[subprocess.Popen[bytes]]:
    """It stands still."""
    wait_until_listening(urlsplit(place).netloc or place)
    command = [sys.executable, "-m", "bench.controllers", kind, place]
    with subprocess.Popen(command, cwd=ROOT) as client:
        time.sleep(5)  # it is connected by then
        client.send_signal(signal.SIGSTOP)
        try:
            yield client
        finally:
            client.kill()


@contextmanager
def _awake(client: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """Have a client go on, if there is one."""
    if client:
        client.send_signal(signal.SIGCONT)
    yield
    if client:
        client.send_signal(signal.SIGSTOP)


if __name__ == "__main__":
    app()
