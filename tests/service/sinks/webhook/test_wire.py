"""Events on their way to a real receiver."""

import hmac
import ssl
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from onegauge.service.sinks.errors import RefusedEvent, SinkUnavailable
from onegauge.service.sinks.webhook.wire import Address, Webhook
from rig.address import free_address
from rig.authority import Authority
from rig.receiver import Call, Receiver, receiver
from tests.service.sinks.made import event, events

SECRET = b"0123456789abcdef"
NOW = 1_796_000_000.7


@pytest.fixture
def listening() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


def opened(url: str, batch: int = 100, **known: Any) -> Webhook:
    known = {"secret": SECRET, "context": ssl.create_default_context(), **known}
    wire = Webhook(Address(url, **known), batch, clock=lambda: NOW)
    wire.open()
    return wire


@pytest.fixture
def wire(listening: Receiver) -> Iterator[Webhook]:
    wire = opened(listening.url)
    yield wire
    wire.close()


def is_genuine(call: Call) -> bool:
    """What a receiver computes who knows the secret."""
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode()
    wanted = hmac.digest(SECRET, signed + call.body, "sha256")
    return call.headers["webhook-signature"] == f"v1,{b64encode(wanted).decode()}"


def test_several_events_are_one_signed_request(listening, wire):
    wire.send(events(1, 2))
    (call,) = listening.calls
    assert call.path == "/events"
    assert call.headers["Content-Type"] == "application/cloudevents-batch+json"
    assert call.headers["webhook-timestamp"] == "1796000000"
    assert call.body == b"[" + event(1).to_json() + b"," + event(2).to_json() + b"]"
    assert is_genuine(call)


def test_one_event_is_an_array_as_well_unless_each_goes_alone(listening, wire):
    wire.send(events(1))
    assert listening.calls[0].body == b"[" + event(1).to_json() + b"]"
    alone = opened(listening.url, batch=1)
    assert alone.at_once == 1
    alone.send(events(2))
    alone.close()
    call = listening.calls[1]
    assert call.headers["Content-Type"] == "application/cloudevents+json"
    assert call.headers["webhook-id"] == event(2).id
    assert call.body == event(2).to_json()
    assert is_genuine(call)


def test_the_same_events_have_the_same_id_and_others_another(listening, wire):
    for some in (events(1, 2), events(1, 2), events(1), events(1, 3)):
        wire.send(some)
    first, again, *others = (call.headers["webhook-id"] for call in listening.calls)
    assert first == again
    assert len({first, *others}) == 3


def test_without_a_secret_nothing_is_signed(listening):
    wire = opened(listening.url, secret=None)
    wire.send(events(1))
    wire.close()
    assert "webhook-signature" not in listening.calls[0].headers


def test_a_token_is_read_again_where_it_was_refused(listening, tmp_path):
    (tmp_path / "token").write_text("Bearer old")
    wire = opened(listening.url, authorization=tmp_path / "token")
    wire.send(events(1))
    listening.answer.status = 401
    with pytest.raises(SinkUnavailable):
        wire.send(events(2))
    wire.close()
    (tmp_path / "token").write_text("Bearer new\n")
    wire.open()
    listening.answer.status = 204
    wire.send(events(2))
    wire.close()
    told = [call.headers["Authorization"] for call in listening.calls]
    assert told == ["Bearer old", "Bearer old", "Bearer new"]


def test_a_token_that_is_gone_is_told(listening, tmp_path):
    with pytest.raises(SinkUnavailable, match="authorization_file .*token cannot be used: "):
        opened(listening.url, authorization=tmp_path / "token")
    assert listening.calls == []


def test_a_look_asks_nobody(listening, wire):
    wire.send(())
    assert listening.calls == []


@pytest.mark.parametrize("status", [400, 406, 409, 413, 415, 422])
def test_what_is_wrong_with_an_event_is_told(listening, wire, status):
    listening.answer.status = status
    with pytest.raises(RefusedEvent, match=f"the receiver answers {status}"):
        wire.send(events(1))


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 408, 410, 425, 429, 500, 502, 503])
def test_what_may_mend_is_worth_another_try(listening, wire, status):
    listening.answer.status = status
    listening.answer.headers = {"Location": f"{listening.url}/elsewhere"}
    with pytest.raises(SinkUnavailable, match=f"the receiver answers {status}") as caught:
        wire.send(events(1))
    assert caught.value.rest_s == 0
    assert [call.path for call in listening.calls] == ["/events"]  # nor anywhere else


@pytest.mark.parametrize(
    ("told", "rest_s"),
    [("7", 7), ("100000", 300), ("Mon, 30 Nov 2026 06:00:00 GMT", 0), ("-1", 0), ("soon", 0)],
)
def test_a_receiver_says_for_how_long_it_is_busy(listening, wire, told, rest_s):
    listening.answer.status, listening.answer.headers = 503, {"Retry-After": told}
    with pytest.raises(SinkUnavailable) as caught:
        wire.send(events(1))
    assert caught.value.rest_s == rest_s


def test_a_receiver_that_hangs_is_given_up(listening):
    wire = opened(listening.url, timeout_s=0.2)
    listening.goes_on.clear()
    with pytest.raises(SinkUnavailable, match="TimeoutError: "):
        wire.send(events(1))
    wire.close()


def test_a_receiver_that_is_not_there_is_unavailable():
    wire = opened(f"http://{free_address()}")
    with pytest.raises(SinkUnavailable, match="ConnectionRefusedError: "):
        wire.send(events(1))
    wire.close()


def test_a_proxy_of_the_environment_is_not_used(listening, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{free_address()}")
    wire = opened(listening.url)
    wire.send(events(1))
    wire.close()
    assert len(listening.calls) == 1


def test_a_wire_may_be_closed_at_any_time(listening):
    wire = Webhook(Address(listening.url, ssl.create_default_context()), 1)
    wire.close()
    wire.open()
    wire.close()
    wire.close()
    wire.open()
    wire.send(events(1))
    wire.close()


def test_a_certificate_is_trusted_by_the_authority_of_the_plant_alone(tmp_path):
    authority = Authority(tmp_path)
    ours = ssl.create_default_context(cafile=authority.certificate)
    with receiver(identity=authority.issue("mes")) as server:
        trusting = opened(server.url, context=ours)
        trusting.send(events(1))
        trusting.close()
        strange = opened(server.url, context=ssl.create_default_context())
        with pytest.raises(SinkUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            strange.send(events(2))
        strange.close()
        assert server.ids == [event(1).id]
