"""From the command to the first answer, and the memory of a gateway under load.

    python -m bench.start

Ready is when `/readyz` says so, of the embedded backend with the bundled model, files in the
system's cache. Memory is the most that was resident while 8 connections sent a JPEG of a megapixel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from bench.support.figures import keep, spread
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form, picture
from bench.support.servers import ENDED_WITHIN_S, READY_WITHIN_S, ROOT, SERVERS, Served, server
from rig.address import free_address

POLL_EVERY_S = 0.005
STARTS, LOAD_S = 7, 10


def main() -> None:
    """Measure, print, keep the figures."""
    found = measure()
    sys.stdout.write("\n".join(f"{what}: {figure}" for what, figure in found.items()) + "\n")
    keep("start", found)


def measure() -> dict[str, Any]:
    """Seconds from start to ready; the most resident memory under load, in MB."""
    ready_s()  # the files are read
    return {
        "ready_s": spread([ready_s() for _ in range(STARTS)]),
        "memory_mb": memory_mb(),
    }


def ready_s() -> float:
    """Start a gateway, wait until it is ready, end it."""
    port = free_address().rpartition(":")[2]
    command, environment = SERVERS["onegauge"](port, Served())
    started = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while not is_ready(int(port)):
                if process.poll() is not None or time.monotonic() > started + READY_WITHIN_S:
                    raise RuntimeError(f"{command} did not start")
                time.sleep(POLL_EVERY_S)
            return time.monotonic() - started
        finally:
            process.terminate()
            process.wait(ENDED_WITHIN_S)


def is_ready(port: int) -> bool:
    """Whether a gateway says so."""
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def memory_mb(seconds: float = LOAD_S) -> float:
    """The most that was resident of a gateway by the end of a load."""
    with TemporaryDirectory() as folder, server("onegauge", Served()) as running:
        file = Path(folder) / "body"
        body, content_type = form(picture())
        file.write_bytes(body)
        load(f"{running.url}/inspect", file, content_type, seconds, connections=CONNECTIONS)
        return running.memory_mb()


if __name__ == "__main__":
    typer.run(main)
