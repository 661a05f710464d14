from pathlib import Path

import pytest
from pydantic import ValidationError

from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.webhook.settings import WebhookSettings
from rig.authority import Authority
from rig.receiver import receiver
from tests.service.sinks.made import events

URL = "https://mes.example/onegauge"


def settings(**values: object) -> WebhookSettings:
    return WebhookSettings(**{"kind": "webhook", "url": URL} | values)


@pytest.mark.parametrize(
    "url", ["mes.example", "ftp://mes.example", "http://", "https:///events", "http://a:b:c", "//a"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValidationError):
        settings(url=url)


@pytest.mark.parametrize("values", [{"timeout_s": 0}, {"timeout_s": 61}, {"batch": 1001}])
def test_what_makes_no_sense_is_refused(values):
    with pytest.raises(ValidationError):
        settings(**values)


def test_a_user_in_the_address_is_refused():
    with pytest.raises(ValidationError, match="authorization_file"):
        settings(url="https://ann:secret@mes.example")


@pytest.mark.parametrize("name", ["secret_file", "ca_file", "authorization_file"])
def test_a_file_that_cannot_be_used_is_told_with_its_sink(name, tmp_path):
    given = settings(**{name: tmp_path / "absent"})
    with pytest.raises(InvalidSinks, match=f"sink mes: {name} = '/.*absent' cannot be used: No"):
        given.wire("mes", "hall-2")
    (tmp_path / "absent").write_bytes(b"\xff")  # neither text nor a certificate
    with pytest.raises(InvalidSinks, match=f"sink mes: {name} = "):
        given.wire("mes", "hall-2")


def test_what_is_given_is_used(tmp_path: Path):
    authority = Authority(tmp_path)
    (tmp_path / "secret").write_text("0123456789abcdef")
    (tmp_path / "token").write_text("Bearer abc")
    with receiver(identity=authority.issue("mes")) as server:
        given = settings(
            url=server.url,
            secret_file=tmp_path / "secret",
            authorization_file=tmp_path / "token",
            ca_file=authority.certificate,
            batch=1,
        )
        wire = given.wire("mes", "hall-2")
        assert wire.at_once == 1
        wire.open()
        wire.send(events(1))
        wire.close()
        (call,) = server.calls
    assert call.headers["webhook-signature"].startswith("v1,")
    assert call.headers["Authorization"] == "Bearer abc"
