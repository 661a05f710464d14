"""Addresses of servers on this machine: a free one, and waiting until it answers."""

import socket
import subprocess
from time import monotonic, sleep
from typing import Any

import httpx

POLL_EVERY_S = 0.1


def free_address() -> str:
    """Host and port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def wait_until_ready(url: str, process: subprocess.Popen[Any], within_s: float) -> None:
    """Return once the page at `url` is there; raises AssertionError where that takes too long."""
    deadline = monotonic() + within_s
    while True:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.ConnectError:
            pass
        assert process.poll() is None, f"{process.args} ended"
        assert monotonic() < deadline, f"{url} is not there within {within_s} s"
        sleep(POLL_EVERY_S)
