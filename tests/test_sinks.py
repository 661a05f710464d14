"""Sinks of real gateways whose receiver or disk fails: decisions go on, nothing is lost."""

import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from onegauge.service.sinks.webhook.secrets import signed
from rig.address import free_address
from rig.gateway_process import Process, gateway_process
from rig.receiver import receiver
from rig.small_disk import fill
from tests.line import Line, wait_until

MES = Path(__file__).parents[1] / "docs" / "examples" / "mes.py"
SECRET = "a secret of a test"


class Mes:
    """The receiver of the documentation in a process of its own, which a test kills."""

    def __init__(self, folder: Path) -> None:
        self._rows, self._secret = folder / "events.db", folder / "secret"
        self._secret.write_text(SECRET)
        self.address = free_address()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until it is killed at the end of the block."""
        port = self.address.rpartition(":")[2]
        command = [sys.executable, MES, self._rows, self._secret, port]
        with subprocess.Popen([str(word) for word in command]) as process:
            try:
                yield
            finally:
                process.kill()

    @property
    def ids(self) -> list[str]:
        """Of the events that it has kept."""
        rows = sqlite3.connect(self._rows, timeout=30)
        try:
            return [found for (found,) in rows.execute("SELECT id FROM events")]
        finally:
            rows.close()


@pytest.fixture
def mes(tmp_path: Path) -> Mes:
    return Mes(tmp_path)


@contextmanager
def telling(repository: Path, address: str, folder: Path) -> Iterator[Process]:
    """A gateway with a sink, whose files lie in a folder."""
    (folder / "key").write_text(SECRET)
    (folder / "sinks.toml").write_text(
        f'[mes]\nkind = "webhook"\nurl = "http://{address}"\nsecret_file = "{folder}/key"\n'
        "timeout_s = 5\n"
    )
    with gateway_process(repository, ONEGAUGE_SINKS=str(folder / "sinks.toml")) as gateway:
        yield gateway


def figure(gateway: Process, name: str) -> float:
    """Of a metric of the sink."""
    told = httpx.get(f"{gateway.url}/metrics").text
    found = re.findall(rf"^onegauge_sink_{name}[{{,].+ (.+)$", told, re.MULTILINE)
    return sum(map(float, found))


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with suppress(OSError), socket.create_connection((host, int(port))):
        return True
    return False


def lost(gateway: Process) -> float:
    """Events that the sink has given up."""
    told = httpx.get(f"{gateway.url}/v1/sinks").json()["sinks"][0]["events"]
    return sum(told.values()) - told.get("delivered", 0)


def test_receiver_that_is_killed_under_load_gets_every_event(
    gauge_repository, mes, tmp_path, defective
):
    with telling(gauge_repository, mes.address, tmp_path) as gateway:
        with Line(gateway.url, defective) as line:
            for _ in range(2):
                with mes.running():
                    wait_until(lambda: not figure(gateway, "unreachable"))
                    line.goes_on()
                    wait_until(lambda: not figure(gateway, "spooled_bytes"))
                line.goes_on()
                wait_until(lambda: figure(gateway, "spooled_bytes"))
        with mes.running():
            wait_until(lambda: sorted(mes.ids) == sorted(line.answered))
        assert line.failed == []
        assert lost(gateway) == 0


def test_receiver_of_the_documentation_takes_nothing_that_was_not_signed_just_now(mes):
    body, headers = b"[]", {"webhook-id": "1", "webhook-timestamp": "1796000000"}
    old = signed(SECRET.encode(), "1", 1_796_000_000, body)
    with mes.running():
        url = f"http://{mes.address}"
        wait_until(lambda: listens(mes.address))
        assert httpx.post(url, content=body, headers=headers).status_code == 401
        assert httpx.post(url, content=body, headers={**headers, **old}).status_code == 401


def test_gateway_that_ends_leaves_to_the_next_one_what_nobody_took(
    gauge_repository, mes, tmp_path, defective
):
    with (
        telling(gauge_repository, mes.address, tmp_path) as gateway,
        Line(gateway.url, defective) as line,
    ):
        line.goes_on()
        gateway.popen.send_signal(signal.SIGTERM)
        assert gateway.end()[0] == 0
    with mes.running(), telling(gauge_repository, mes.address, tmp_path):
        wait_until(lambda: sorted(mes.ids) == sorted(line.answered))


@pytest.mark.parametrize("receiver_hangs", [True, False])
def test_gateway_that_is_killed_loses_no_more_than_the_last_second(
    gauge_repository, mes, tmp_path, defective, receiver_hangs
):
    with receiver() as hanging:
        hanging.goes_on.clear()
        address = f"127.0.0.1:{hanging.server_port}" if receiver_hangs else mes.address
        with (
            telling(gauge_repository, address, tmp_path) as gateway,
            Line(gateway.url, defective) as line,
        ):
            safe = line.killed(gateway)
    with mes.running(), telling(gauge_repository, mes.address, tmp_path):
        wait_until(lambda: safe <= set(mes.ids))


def test_decisions_do_not_wait_for_a_receiver_that_hangs(gauge_repository, tmp_path, defective):
    with (
        receiver() as hanging,
        telling(gauge_repository, f"127.0.0.1:{hanging.server_port}", tmp_path) as gateway,
        Line(gateway.url, defective) as line,
    ):
        line.goes_on()
        hanging.goes_on.clear()
        wait_until(lambda: figure(gateway, "unreachable"))
        line.goes_on(200)  # in less time than if each had waited for the sink's timeout
        hanging.goes_on.set()
        wait_until(lambda: not figure(gateway, "spooled_bytes"))
        assert lost(gateway) == 0


def test_full_disk_costs_events_and_no_decision(gauge_repository, mes, small_disk, defective):
    with telling(gauge_repository, mes.address, small_disk) as gateway:
        with Line(gateway.url, defective) as line:
            fill(small_disk / "ballast")
            wait_until(lambda: lost(gateway))
            line.goes_on()
            with mes.running():
                wait_until(lambda: not figure(gateway, "unreachable"))
                line.goes_on()
                (small_disk / "ballast").unlink()
        assert line.failed == []
        with mes.running():
            wait_until(lambda: len(mes.ids) + lost(gateway) >= len(line.answered))
        assert len(mes.ids) < len(line.answered)
        assert set(mes.ids) <= set(line.answered)
