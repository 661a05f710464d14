"""What a plant hears of a gateway by a real broker."""

import json

import pytest

from onegauge.service.sinks.errors import SinkUnavailable
from onegauge.service.sinks.event import PART
from rig.subscriber import subscriber
from tests.service.sinks.made import event, events
from tests.service.sinks.mqtt.published import opened, settings

NAMES = ("hall/press 3", "+", "#", "100 %", "%2B", "%2D", "Straße", "\x07\ufdd0\n", "status")


def ids(heard):
    return [json.loads(message.payload)["id"] for message in heard]


def test_each_event_arrives_in_order_as_the_cloud_event_that_it_is(broker):
    sent = events(*range(500))
    with subscriber(broker, "onegauge/+/inspection") as listening, opened(broker) as wire:
        wire.send(sent)
        listening.wait_for(lambda: len(listening.heard) == 500)
    assert [message.payload for message in listening.heard] == [e.to_json() for e in sent]
    assert {message.topic for message in listening.heard} == {"onegauge/press/inspection"}
    assert {message.content_type for message in listening.heard} == {"application/cloudevents+json"}


def test_who_comes_later_finds_the_last_of_each_line(broker):
    with opened(broker) as wire:
        wire.send([event(1, line="a"), event(2, line="b"), event(3, line="a")])
        wire.send([event(4, line="b"), event(5, line="b", type=PART)])
        with subscriber(broker) as later:
            later.wait_for(lambda: len(later.heard) == 3)
    last = {m.topic: json.loads(m.payload)["id"][-1] for m in later.of("last") if m.retained}
    assert last == {"onegauge/a/last": "3", "onegauge/b/last": "4"}
    assert not later.of("inspection")
    assert not later.of("part")


def test_verdicts_of_parts_have_a_topic_of_their_own(broker):
    with subscriber(broker, "onegauge/+/part") as listening, opened(broker) as wire:
        wire.send([event(1), event(2, type=PART)])
        listening.wait_for(lambda: listening.heard)
    assert ids(listening.heard) == [event(2).id]


def test_a_line_may_have_any_name(broker):
    with subscriber(broker, "plant/+/inspection") as listening:
        with opened(broker, topic="plant") as wire:
            wire.send([event(number, line=name) for number, name in enumerate(NAMES)])
            wire.send([event(98, line=None), event(99, line="")])
        listening.wait_for(lambda: len(listening.heard) == len(NAMES) + 2)
    levels = [message.topic.split("/")[1] for message in listening.heard]
    assert levels[0] == "hall%2Fpress 3"
    assert levels[-2:] == ["-", "-"]
    assert len({*levels[:-1]}) == len(NAMES) + 1
    assert "Straße" in levels


def test_who_listens_knows_whether_a_gateway_is_there(broker):
    with subscriber(broker, "onegauge/+/status") as listening:
        with opened(broker):
            listening.wait_for(lambda: listening.heard)
            with subscriber(broker, "onegauge/+/status") as later:
                later.wait_for(lambda: later.heard)
        listening.wait_for(lambda: len(listening.heard) == 2)
    with subscriber(broker, "onegauge/+/status") as last:
        last.wait_for(lambda: last.heard)
    assert [message.payload for message in listening.heard] == [b"online", b"offline"]
    for heard, told in ((later.heard[0], b"online"), (last.heard[0], b"offline")):
        assert heard.retained
        assert heard.payload == told


def test_gateways_share_a_broker_and_are_told_apart(broker):
    with (
        subscriber(broker, "onegauge/+/status") as listening,
        opened(broker, "hall-1"),
        opened(broker, "hall/2"),
    ):
        listening.wait_for(lambda: len(listening.heard) == 2)
        topics = [message.topic for message in listening.heard]
    assert topics == ["onegauge/hall-1/status", "onegauge/hall%2F2/status"]


def test_two_gateways_of_one_name_are_told_what_is_wrong(broker):
    with opened(broker) as first, opened(broker) as second:
        with pytest.raises(SinkUnavailable, match="onegauge-hall-1-broker: .* ONEGAUGE_SOURCE"):
            first.send([event(1)])
        second.send([event(1)])


def test_a_gateway_that_comes_back_is_online_at_once(broker):
    wire = settings(broker).wire("broker", "hall-1")
    wire.open()
    broker.kill()
    with pytest.raises(SinkUnavailable, match="has ended the connection"):
        wire.send([])
    wire.close()
    with pytest.raises(SinkUnavailable, match="cannot be reached"):
        wire.open()
    wire.close()
    broker.start()
    wire.open()
    with subscriber(broker, "#") as listening:
        listening.wait_for(lambda: listening.heard)
    assert listening.heard[0].payload == b"online"
    wire.send([event(1)])
    wire.close()
