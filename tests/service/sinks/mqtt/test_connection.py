"""How a real broker is reached, and what is said where it does not take what is published."""

import os
import resource
from contextlib import ExitStack, closing
from typing import NoReturn

import pytest

from onegauge.service.sinks.errors import RefusedEvent, SinkUnavailable
from onegauge.service.sinks.mqtt import connection
from onegauge.service.sinks.mqtt.settings import MqttSettings
from onegauge.service.sinks.mqtt.wire import Mqtt
from rig.authority import Authority
from rig.mosquitto import READER, Mosquitto, mosquitto
from rig.subscriber import subscriber
from tests.service.sinks.made import event, events
from tests.service.sinks.mqtt.choosy import Choosy
from tests.service.sinks.mqtt.published import opened, settings


def encrypted(broker: Mosquitto) -> dict[str, object]:
    return {"url": broker.encrypted_url, "ca_file": broker.authority.certificate}


def why(broker: Mosquitto, **changed: object) -> str:
    """What is said where a broker cannot be reached so."""
    with pytest.raises(SinkUnavailable) as refusal, opened(broker, **changed):
        pass
    return str(refusal.value)


def idle(wire: Mqtt) -> NoReturn:
    while True:
        wire.send([])


def test_a_wrong_password_is_told(broker, tmp_path):
    (tmp_path / "wrong").write_text("guessed")
    said = why(broker, password_file=tmp_path / "wrong")
    assert "Not authorized; check user and password_file" in said
    assert "guessed" not in said


def test_a_password_is_read_anew(broker, tmp_path):
    file = tmp_path / "password"
    file.write_text("of yesterday")
    why(broker, password_file=file)
    wire = settings(broker, password_file=file).wire("broker", "hall-1")
    file.write_bytes(b"\xff")
    with pytest.raises(SinkUnavailable, match="cannot be reached"):
        wire.open()
    wire.close()
    file.write_text(broker.password_file.read_text())
    with opened(broker, password_file=file) as wire:
        wire.send([event(1)])


def test_it_may_be_encrypted(broker):
    with subscriber(broker, "onegauge/+/inspection") as listening:
        with opened(broker, **encrypted(broker)) as wire:
            wire.send(events(*range(300)))
        listening.wait_for(lambda: len(listening.heard) == 300)


def test_nobody_but_the_brokers_own_authority_is_trusted(broker, tmp_path):
    other = Authority(tmp_path).certificate
    for ca_file in (None, other):
        said = why(broker, url=broker.encrypted_url, ca_file=ca_file)
        assert "a certificate that is not trusted" in said
        assert "ca_file" in said


def test_a_certificate_for_another_host_is_not_trusted(broker):
    url = f"mqtts://localhost:{broker.encrypted_port}"
    assert "not valid for 'localhost'" in why(broker, **encrypted(broker) | {"url": url})


def test_a_broker_may_want_a_certificate(tmp_path):
    with mosquitto(tmp_path, "require_certificate true") as broker:
        assert "has ended the connection" in why(broker, **encrypted(broker))
        own = broker.authority.issue("gateway")
        files = {"cert_file": own.certificate, "key_file": own.key}
        with opened(broker, **encrypted(broker), **files) as wire:
            wire.send([event(1)])


def test_encryption_is_not_mixed_up(broker):
    assert "has ended the connection" in why(
        broker, url=f"mqtt://127.0.0.1:{broker.encrypted_port}"
    )
    assert "cannot be reached" in why(broker, url=f"mqtts://127.0.0.1:{broker.port}")


def test_what_the_broker_forbids_is_no_event_lost(broker):
    """MQTT 3.1.1 would have it acknowledged, and dropped."""
    said = why(broker, user=READER)
    assert "refuses what is for onegauge/hall-1/status: Not authorized; " in said


def test_a_broker_that_hangs_is_left_alone(broker, monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_S", 0.3)
    with opened(broker) as wire:
        broker.freeze()
        with pytest.raises(SinkUnavailable, match="has not answered within 0.3 s"):
            wire.send([event(1)])
        broker.thaw()


def test_no_more_is_under_way_than_the_broker_takes():
    broker = Choosy(times=3)
    broker.start()
    with closing(MqttSettings(kind="mqtt", url=broker.url).wire("broker", "hall-1")) as wire:
        wire.open()
        wire.send(events(*range(8)))  # and the last of their line
    broker.join()
    assert not broker.too_many


def test_what_is_too_large_for_the_broker_is_refused_for_ever(tmp_path):
    large = event(1, regions=["x" * 3000])
    with mosquitto(tmp_path, "max_packet_size 2000") as broker, opened(broker) as wire:
        with pytest.raises(RefusedEvent, match="takes packets of 2000 bytes at most"):
            wire.send([event(0), large])
        wire.send([event(2)])


def test_a_broker_that_hangs_while_nothing_happens_is_noticed(broker, monkeypatch):
    monkeypatch.setattr(connection, "KEEPALIVE_S", 1)
    with opened(broker) as wire:
        broker.freeze()
        with pytest.raises(SinkUnavailable, match="Keep alive timeout"):
            idle(wire)
        broker.thaw()


def test_a_gateway_may_have_many_files_open(broker):
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as many:
        many.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (before, hard))
        for _ in range(1024):
            many.enter_context(open(os.devnull))
        with opened(broker) as wire:
            wire.send([event(1)])
