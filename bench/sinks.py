"""What telling a plant of each decision costs the gateway, in one run.

    python -m bench.sinks

off      without sinks
webhook  a receiver, docs/examples/mes.py in a process of its own, takes each event
mqtt     a broker, mosquitto, takes each event
hangs    one that takes connections and never answers: all is put by
gone     nobody is there: all is put by

They take turns, as `bench/support/turns.py` tells.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import typer

from bench.support.figures import keep
from bench.support.turns import folder_on_disk, gateways
from rig.address import free_address
from rig.mosquitto import USER, Mosquitto, mosquitto

RECEIVER = Path(__file__).parents[1] / "docs" / "examples" / "mes.py"
DELIVERED_WITHIN_S = 30


def main(seconds: float = 8, rounds: int = 6) -> None:
    """Measure, print a table, keep the figures."""
    with folder_on_disk() as folder, ExitStack() as stack:
        (folder / "secret").write_text("0123456789abcdef")
        urls = {
            "webhook": stack.enter_context(_receiver(folder)),
            "hangs": stack.enter_context(_hanging()),
            "gone": f"http://{free_address()}",
        }
        (folder / "broker").mkdir()
        tables = {
            name: f'kind = "webhook"\nurl = "{url}"\nsecret_file = "{folder}/secret"\n'
            for name, url in urls.items()
        }
        tables["mqtt"] = _published(stack.enter_context(mosquitto(folder / "broker")))
        settings = {"off": {}} | {n: _settings(folder, n, table) for n, table in tables.items()}
        turns = stack.enter_context(gateways(settings))
        turns.measure(seconds, rounds)
        for name in ("webhook", "mqtt"):
            _check(turns.gateways[name].url, turns.answered(name))
        for name in ("hangs", "gone"):
            _check_kept(turns.gateways[name].url)
    keep(f"sinks on {len(os.sched_getaffinity(0))} cores", turns.report())


def _settings(folder: Path, name: str, table: str) -> dict[str, str]:
    file = folder / name / "sinks.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"[{name}]\n{table}")
    return {"ONEGAUGE_SINKS": str(file)}


def _published(broker: Mosquitto) -> str:
    user = f'user = "{USER}"\npassword_file = "{broker.password_file}"\n'
    return f'kind = "mqtt"\nurl = "{broker.url}"\n{user}'


@contextmanager
def _receiver(folder: Path) -> Iterator[str]:
    host, _, port = free_address().partition(":")
    files = [str(folder / name) for name in ("events.db", "secret")]
    command = [sys.executable, str(RECEIVER), *files, port]
    with subprocess.Popen(command) as process:
        try:
            yield f"http://{host}:{port}"
        finally:
            process.terminate()


@contextmanager
def _hanging() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _state(url: str) -> dict[str, Any]:
    (state,) = httpx.get(f"{url}/v1/sinks").json()["sinks"]
    return dict(state)


def _check(url: str, answered: int) -> None:
    """What was answered is delivered, or else what was measured is worth nothing."""
    until = time.monotonic() + DELIVERED_WITHIN_S
    while _state(url)["events"].get("delivered") != answered:
        if time.monotonic() > until:
            sys.exit(f"{answered} answers, but {_state(url)}")
        time.sleep(0.1)


def _check_kept(url: str) -> None:
    """What nobody took is on disk."""
    state = _state(url)
    if state["events"] or not state["spooled_bytes"]:
        sys.exit(f"nobody took the events, but {state}")


if __name__ == "__main__":
    typer.run(main)
