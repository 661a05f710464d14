"""Settings of a broker that cannot be right are refused when the gateway starts."""

import pytest
from pydantic import ValidationError

from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.mqtt.settings import MqttSettings
from rig.authority import Authority

BROKER = "mqtts://broker.example"


def refusal(**given: object) -> str:
    with pytest.raises(ValidationError) as refused:
        MqttSettings(kind="mqtt", **given)
    [error] = refused.value.errors()
    return ".".join(map(str, error["loc"])) + ": " + error["msg"]


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("mqtt://broker", "broker", 1883),
        ("mqtts://broker/", "broker", 8883),
        ("mqtt://10.0.0.7:2000", "10.0.0.7", 2000),
        ("mqtts://[fe80::1]:8884", "fe80::1", 8884),
    ],
)
def test_a_url_names_host_and_port(url, host, port):
    settings = MqttSettings(kind="mqtt", url=url)
    assert (settings.host, settings.port) == (host, port)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("broker:1883", "is not like mqtt://broker:1883"),
        ("https://broker", "is not like mqtt://broker:1883"),
        ("mqtt://", "is not like mqtt://broker:1883"),
        ("mqtt://broker:0", "is not like mqtt://broker:1883"),
        ("mqtt://broker:70000", "is no URL: Port out of range"),
        ("mqtt://broker/onegauge", "is not like mqtt://broker:1883"),
        ("mqtt://bro..ker", "is no URL"),
        ("mqtt://me:secret@broker", "set user and password_file instead"),
    ],
)
def test_what_is_no_url_of_a_broker_is_refused(url, said):
    refused = refusal(url=url)
    assert refused.startswith("url: ")
    assert said in refused
    assert "secret" not in refused


@pytest.mark.parametrize("topic", ["", "a/+", "#", "$SYS/a", "/a", "a/", "a//b", "a\n"])
def test_a_topic_that_cannot_be_published_to_is_refused(topic):
    assert refusal(url=BROKER, topic=topic).startswith("topic: ")


def test_what_belongs_together_is_asked_for(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert "password_file needs user" in refusal(url=BROKER, password_file=file)
    assert "key_file needs cert_file" in refusal(url=BROKER, key_file=file)
    assert "need mqtts://" in refusal(url="mqtt://broker", ca_file=file)


def unusable(**given: object) -> str:
    with pytest.raises(InvalidSinks) as refused:
        MqttSettings(kind="mqtt", url=BROKER, **given).wire("broker", "hall-1")
    return str(refused.value)


def test_files_are_looked_at_first(tmp_path):
    absent, other = tmp_path / "absent", tmp_path / "other"
    other.write_text("no certificate")
    said = unusable(user="a", password_file=absent)
    assert said.startswith(f"sink broker: password_file = '{absent}' cannot be used: No such")
    assert "ca_file" in unusable(ca_file=absent)
    assert "cannot be used" in unusable(ca_file=other)
    own = Authority(tmp_path).issue("gateway")
    assert "cannot be used" in unusable(cert_file=own.certificate, key_file=other)
    MqttSettings(kind="mqtt", url=BROKER, cert_file=own.certificate, key_file=own.key).wire(
        "broker", "hall-1"
    )
