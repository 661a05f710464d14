"""Decisions of a real gateway on their way through a real broker, while either of them fails."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from rig.gateway_process import Process, gateway_process
from rig.mosquitto import USER, Mosquitto
from rig.subscriber import Subscriber, subscriber
from tests.line import Line, wait_until

Start = Callable[..., AbstractContextManager[Process]]


@pytest.fixture
def start(gauge_repository: Path, broker: Mosquitto, tmp_path: Path) -> Start:
    """Starts a gateway that publishes."""

    @contextmanager
    def start(password_file: Path = broker.password_file) -> Iterator[Process]:
        sinks = tmp_path / "sinks.toml"
        sinks.write_text(f"""
            [broker]
            kind = "mqtt"
            url = "{broker.url}"
            user = "{USER}"
            password_file = "{password_file}"
        """)
        settings = {"ONEGAUGE_SINKS": str(sinks), "ONEGAUGE_SOURCE": "hall-1"}
        with gateway_process(gauge_repository, **settings) as gateway:
            yield gateway

    return start


def state(gateway: Process) -> dict[str, object]:
    [sink] = httpx.get(f"{gateway.url}/v1/sinks").json()["sinks"]
    return sink


def ids(listening: Subscriber) -> set[str]:
    """Of inspections; what comes twice is known by it."""
    return {json.loads(message.payload)["id"] for message in listening.of("inspection")}


def status(listening: Subscriber) -> list[str]:
    return [message.payload.decode() for message in listening.of("status")]


def test_a_broker_that_is_killed_costs_no_event(start, broker, defective):
    with subscriber(broker) as listening, start() as gateway:
        broker.save()
        with Line(gateway.url, defective) as line:
            line.goes_on(100)
            broker.kill()
            wait_until(lambda: state(gateway)["spooled_bytes"])
            line.goes_on(100)  # nobody waits for a broker
            broker.start()
            wait_until(lambda: not state(gateway)["spooled_bytes"])
            line.goes_on(100)
        assert line.failed == []
        listening.wait_for(lambda: len(listening.of("inspection")) >= len(line.answered))
        listening.wait_for(lambda: line.answered.keys() <= ids(listening))
    assert ids(listening) == line.answered.keys()


def test_who_listens_knows_when_a_gateway_has_gone(start, broker, normal):
    with subscriber(broker, "onegauge/hall-1/status") as listening:
        with start() as gateway:
            listening.wait_for(lambda: status(listening) == ["online"])
            gateway.popen.kill()
            listening.wait_for(lambda: status(listening)[1:] == ["offline"])
        with start() as gateway:
            listening.wait_for(lambda: status(listening)[2:] == ["online"])
            httpx.post(f"{gateway.url}/inspect", files={"image": normal})
            gateway.popen.send_signal(signal.SIGTERM)
            assert gateway.end()[0] == 0
            listening.wait_for(lambda: status(listening)[3:] == ["offline"])


def test_a_wrong_password_is_told(start, normal, tmp_path):
    (tmp_path / "wrong").write_text("guessed")
    with start(tmp_path / "wrong") as gateway:
        wait_until(lambda: state(gateway)["last_error"])
        assert "Not authorized; check user and password_file" in state(gateway)["last_error"]
        assert httpx.post(f"{gateway.url}/inspect", files={"image": normal}).is_success
        gateway.popen.send_signal(signal.SIGTERM)
        _, log = gateway.end()
    told = [
        entry for entry in map(json.loads, log.splitlines()) if "cannot be reached" in str(entry)
    ]
    assert "Not authorized; check user and password_file" in str(told)
    assert "guessed" not in log
