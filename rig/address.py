"""Addresses of servers on this machine: a free one, and waiting until it answers."""

import random
import socket
import subprocess
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import httpx

HOST = "127.0.0.1"
PORTS = range(20_000, 32_768)  # below those that the kernel gives to who asks for any
POLL_EVERY_S = 0.1
LISTENING_WITHIN_S = 60.0


def free_address() -> str:
    """Host and port where nobody listens, and that no other caller is given meanwhile.

    A datagram socket holds the number, of which TCP takes no notice, until this process ends.
    """
    while True:
        port = random.choice(PORTS)
        with (
            suppress(OSError),
            socket.socket() as probe,
            socket.socket(type=socket.SOCK_DGRAM) as hold,
        ):
            probe.bind((HOST, port))
            hold.bind((HOST, port))
            hold.detach()
            return f"{HOST}:{port}"


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


def wait_until_listening(address: str) -> None:
    """Return once somebody listens there; raises AssertionError where that takes too long."""
    host, _, port = address.rpartition(":")
    deadline = monotonic() + LISTENING_WITHIN_S
    while True:
        try:
            return socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            assert monotonic() < deadline, f"nobody listens on {address}"
        sleep(POLL_EVERY_S)
