"""What telling a plant of each decision costs the gateway, in one run.

    python -m bench.sinks

off      all sinks are switched off
webhook  a receiver, docs/examples/mes.py, takes each event
mqtt     a broker, mosquitto, takes each event
hangs    one that takes connections and never answers: all is put by
gone     nobody is there: all is put by
modbus   a controller reads all registers of the line every 20 ms
opcua    a client is subscribed to all nodes of the line, and told every 100 ms of changes

They take turns, as `bench/support/turns.py` tells, by the off switches of one gateway: two that are
the same differ by more than what is measured, as memory falls to them. The gateway has a core; the
load has the other, and with it all that is told.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import typer

from bench.support.controllers import controller
from bench.support.figures import keep
from bench.support.pinned import pinned, two_cores
from bench.support.plant import mes, modbus, mqtt, webhook
from bench.support.servers import Served, server
from bench.support.turns import LINE, Turns, folder_on_disk
from rig.address import free_address
from rig.mosquitto import mosquitto

DELIVERED, KEPT = ("webhook", "mqtt"), ("hangs", "gone")
WITHIN_S = 30


def main(seconds: float = 4, rounds: int = 6) -> None:
    """Measure, print a table, keep the figures."""
    serves, asks = two_cores()
    places = {"modbus": free_address(), "opcua": f"opc.tcp://{free_address()}/onegauge"}
    with pinned(asks), folder_on_disk() as folder, ExitStack() as stack:
        file = folder / "sinks.toml"
        tables = _tables(folder, places, stack)
        file.write_text("".join(f"[{n}]\nenabled = false\n{table}" for n, table in tables.items()))
        with pinned(serves):
            gateway = stack.enter_context(
                server("onegauge", Served(), ONEGAUGE_SINKS=str(file), ONEGAUGE_GRACE_S="5")
            )
        turns = Turns(dict.fromkeys(("off", *tables), gateway))
        turns.beside = lambda name: _on(gateway.url, name, places.get(name))
        turns.measure(seconds, rounds)
        for name in DELIVERED:
            _check(gateway.url, name, turns.answered(name))
        for name in KEPT:
            _check_kept(gateway.url, name)
    keep("sinks", turns.report())


def _tables(folder: Path, places: dict[str, str], stack: ExitStack) -> dict[str, str]:
    """The settings of each sink, with what it tells, as long as the stack has it."""
    receiver = stack.enter_context(mes(folder))
    (folder / "broker").mkdir()
    endpoint = f'kind = "opcua"\nendpoint = "{places["opcua"]}"\nlines = ["{LINE}"]\n'
    return {
        "webhook": receiver.table,
        "mqtt": mqtt(stack.enter_context(mosquitto(folder / "broker"))),
        "hangs": webhook(stack.enter_context(_hanging()), receiver.secret_file),
        "gone": webhook(f"http://{free_address()}", receiver.secret_file),
        "modbus": modbus(places["modbus"], LINE),
        "opcua": endpoint,
    }


@contextmanager
def _hanging() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def _on(url: str, name: str, place: str | None) -> Iterator[None]:
    """A sink is on, and watched where controllers do that; of `off` nothing is."""
    if name == "off":
        yield
        return
    with ExitStack() as stack:
        _switch(url, name, enabled=True)
        stack.callback(_switch, url, name, enabled=False)
        if place:
            stack.enter_context(controller(name, place))
        yield


def _switch(url: str, name: str, *, enabled: bool) -> None:
    httpx.put(f"{url}/v1/sinks/{name}", json={"enabled": enabled}).raise_for_status()


def _state(url: str, name: str) -> dict[str, Any]:
    states = httpx.get(f"{url}/v1/sinks").json()["sinks"]
    return next(dict(state) for state in states if state["name"] == name)


def _check(url: str, name: str, answered: int) -> None:
    """What was answered is delivered, or else what was measured is worth nothing."""
    until = time.monotonic() + WITHIN_S
    _switch(url, name, enabled=True)  # what waited at the end of a turn is on disk
    while (state := _state(url, name))["events"].get("delivered") != answered:
        if time.monotonic() > until:
            sys.exit(f"{answered} answers, but {state}")
        time.sleep(0.1)


def _check_kept(url: str, name: str) -> None:
    """What nobody took is on disk."""
    state = _state(url, name)
    if state["events"] or not state["spooled_bytes"]:
        sys.exit(f"nobody took the events, but {state}")


if __name__ == "__main__":
    typer.run(main)
