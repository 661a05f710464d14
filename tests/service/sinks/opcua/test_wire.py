"""Against the client of asyncua, over TCP."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isnan
from urllib.parse import urlsplit

import pytest
from asyncua import ua
from asyncua.sync import Client

from onegauge.service.sinks.errors import SinkUnavailable
from onegauge.service.sinks.opcua.nodes import NODES, WRITABLE
from onegauge.service.sinks.opcua.settings import OpcUaSettings
from onegauge.service.sinks.wire import Wire
from rig.address import free_address, wait_until_listening
from tests.service.sinks.decided import decided, verdict
from tests.service.sinks.opcua.scada import WITHIN_S, Scada, patient, scada


@contextmanager
def listening(endpoint: str, **settings: object) -> Iterator[Wire]:
    wire = OpcUaSettings(kind="opcua", endpoint=endpoint, **settings).wire("scada", "test")
    wire.open()
    try:
        wait_until_listening(urlsplit(endpoint).netloc)
        yield wire
    finally:
        wire.close()


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Wire, str]]:
    """That is in no hurry, and has no lines but those that come."""
    endpoint = f"opc.tcp://{free_address()}/onegauge"
    with listening(endpoint) as wire:
        wire.send([decided(line="line-1")])
        yield wire, endpoint


@pytest.fixture(scope="module")
def hasty() -> Iterator[tuple[Wire, str]]:
    """Where a trigger has no time to be answered."""
    endpoint = f"opc.tcp://{free_address()}/onegauge"
    with listening(endpoint, lines=["line-1"], timeout_s=0.001) as wire:
        yield wire, endpoint


@pytest.fixture
def wire(server) -> Wire:
    return server[0]


@pytest.fixture(scope="module")
def endpoint(server) -> str:
    return server[1]


@pytest.fixture(scope="module")
def client(endpoint) -> Iterator[Client]:
    with patient(endpoint) as client:
        yield client


@pytest.fixture(scope="module")
def line(client) -> Scada:
    line = Scada(client, "line-1")
    line.until("LastDecision", 1)
    return line


def now(decision: str = "normal", **known: object):
    return decided(decision, time=datetime.now(UTC), **known)


def names_below(client: Client, *path: str) -> list[str]:
    index = client.get_namespace_index("urn:onegauge")
    node = client.nodes.objects.get_child([f"{index}:{name}" for name in path])
    return [child.read_browse_name().Name for child in node.get_children()]


def test_every_node_is_there_with_its_type(line, client):
    assert names_below(client, "onegauge", "line-1") == list(NODES)
    for name, kind in NODES.items():
        assert line.node(name).read_data_type_as_variant_type() == kind


def test_shows_the_last_result(line, wire):
    event = now("anomalous", score=1.5, part="4711")
    wire.send([event])
    line.until("LastInspection", event.id)
    names = ("LastDecision", "LastDecisionText", "LastScore", "LastPValue", "LastPart", "LastTime")
    *told, time = line.read(*names)
    assert told == [2, "anomalous", 1.5, 0.25, "4711"]
    assert time == event.time


def test_counters_count(line, wire):
    names = ("Total", "Normal", "Anomalous", "Unknown")
    before = line.read(*names)
    wire.send([now("anomalous"), now(), now("anomalous", unknown=True)])
    line.until("Total", before[0] + 3)
    assert line.read(*names[1:]) == [count + 1 for count in before[1:]]


def test_controller_gets_the_answer_to_its_trigger(line, wire):
    line.write(TriggerPart="", Trigger=7)
    assert line.read("State", "StateText", "ResultTrigger", "Decision") == [1, "waiting", 0, 0]
    wire.send([now("anomalous", score=1.5)])
    line.until("State", 2)
    names = ("StateText", "ResultTrigger", "Decision", "DecisionText", "Score")
    assert line.read(*names) == ["done", 7, 2, "anomalous", 1.5]
    line.write(Trigger=0)
    assert line.read("State", "ResultTrigger", "Decision") == [0, 7, 2]


def test_same_number_after_zero_shows_no_old_result(line, wire):
    line.write(Trigger=7)
    wire.send([now()])
    line.until("State", 2)
    line.write(Trigger=0)
    line.write(Trigger=7)
    state, answered, score = line.read("State", "ResultTrigger", "Score")
    assert (state, answered) == (1, 0)
    assert isnan(score)
    line.write(Trigger=0)


def test_trigger_waits_for_its_part(line, wire):
    line.write(TriggerPart="4711", Trigger=8)
    wire.send([now("anomalous", part="4710"), now(part="4711")])
    line.until("State", 2)
    assert line.read("Decision", "Part") == [1, "4711"]
    line.write(TriggerPart="", Trigger=0)


def test_trigger_without_a_result_fails(hasty):
    with scada(hasty[1], "line-1") as line:
        line.write(Trigger=7)
        line.until("StateText", "failed")
        assert line.read("State", "ResultTrigger", "Decision") == [3, 7, 0]
        line.write(Trigger=0)


@pytest.mark.parametrize(
    "value",
    [
        ua.DataValue(ua.Variant("7", ua.VariantType.String)),
        ua.DataValue(ua.Variant(7, ua.VariantType.UInt32)),
        ua.DataValue(ua.Variant([7], ua.VariantType.UInt16)),
        ua.DataValue(ua.Variant(None)),
        ua.DataValue(),
        ua.DataValue(ua.Variant(7, ua.VariantType.UInt16), ua.StatusCode(ua.StatusCodes.Bad)),
    ],
    ids=["text", "other type", "array", "null", "nothing", "bad"],
)
def test_trigger_takes_numbers_of_its_type_alone(line, value):
    before = line.read("Trigger", "State")
    with pytest.raises(ua.UaStatusCodeError):
        line.node("Trigger").write_value(value)
    assert line.read("Trigger", "State") == before
    line.write(Trigger=3)  # what was refused has left nothing behind
    line.write(Trigger=0)


def test_part_of_no_text_is_empty(line, wire):
    line.node("TriggerPart").write_value(ua.DataValue(ua.Variant(None, ua.VariantType.String)))
    line.write(Trigger=7)
    wire.send([now(part="4711")])
    line.until("State", 2)
    line.write(TriggerPart="", Trigger=0)


def test_value_that_stays_keeps_its_time(line, wire):
    def since(name: str) -> datetime:
        return line.node(name).read_data_value().SourceTimestamp

    for score in (1.5, 2.5):
        before = {name: since(name) for name in ("LastPart", "LastPValue", "LastScore")}
        wire.send([verdict("normal", "4711", score=score)])  # its p-value is NaN
        line.until("LastScore", score)
    assert since("LastPart") == before["LastPart"]
    assert since("LastPValue") == before["LastPValue"]
    assert since("LastScore") > before["LastScore"]


def test_part_has_a_length(line):
    line.write(TriggerPart="x" * 128)
    with pytest.raises(ua.uaerrors.BadOutOfRange):
        line.write(TriggerPart="x" * 129)
    line.write(TriggerPart="")


@pytest.mark.parametrize("name", [name for name in NODES if name not in WRITABLE])
def test_nothing_else_is_written(line, name):
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        line.node(name).write_value(line.node(name).read_value(), NODES[name])


def test_nobody_changes_the_nodes(client):
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        client.nodes.objects.add_variable(2, "mine", 1)


def test_subscription_is_told_of_results_and_of_the_heartbeat(line, wire):
    with line.watched("LastInspection") as told, line.watched("Heartbeat") as beats:
        told.get(timeout=WITHIN_S)
        events = [now(), now("anomalous")]
        wire.send(events)
        assert told.get(timeout=WITHIN_S) == events[-1].id
        first = beats.get(timeout=WITHIN_S)
        assert beats.get(timeout=WITHIN_S) > first


def test_lines_appear_as_they_come_whatever_they_are_called(wire, client):
    odd = ("line-1.State", "Straße 7/ä", "a.Line", "a")
    wire.send([decided(line=line) for line in (*odd, None)])
    for line in (*odd, "-"):
        Scada(client, line).until("Total", 1)
    assert {*odd, "-"} < set(names_below(client, "onegauge"))


def test_port_that_is_taken_is_named(endpoint):
    place = endpoint.removeprefix("opc.tcp://").removesuffix("/onegauge")
    taken = pytest.raises(SinkUnavailable, match=f"OPC UA server on {place} cannot .*in use")
    with taken, listening(endpoint):
        pass


def test_client_comes_back_to_a_server_that_was_opened_again(hasty):
    wire, endpoint = hasty
    with scada(endpoint, "line-1") as line:
        line.write(Trigger=8)
        wire.send([now("anomalous")])
        line.until("LastDecision", 2)
    wire.close()
    with pytest.raises(SinkUnavailable, match="has ended"):
        wire.send([now()])
    wire.open()
    wait_until_listening(urlsplit(endpoint).netloc)
    with scada(endpoint, "line-1") as line:
        line.until("LastDecision", 1)  # nothing is forgotten but the trigger
        assert line.read("State", "Trigger") == [0, 0]
        line.write(Trigger=8)
        line.until("StateText", "failed")
