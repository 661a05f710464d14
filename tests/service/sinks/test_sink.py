"""A sink with its thread: what it takes, and when it lets go."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from onegauge.service.observe.metrics import Metrics
from onegauge.service.outbox import queue
from onegauge.service.outbox.spool import Spool
from onegauge.service.sinks import delivery, sink
from onegauge.service.sinks.settings import DeliverySettings, SinkSettings
from onegauge.service.sinks.sink import Sink
from onegauge.service.sinks.wire import Wire
from tests.line import wait_until
from tests.service.sinks.made import FakeWire, waiting

Start = Callable[..., Sink]


class Delivering(DeliverySettings):
    kind: Literal["test"] = "test"

    def wire(self, name: str, gateway: str) -> Wire:  # noqa: ARG002
        return FakeWire()


class Showing(SinkSettings):
    kind: Literal["test"] = "test"

    def wire(self, name: str, gateway: str) -> Wire:  # noqa: ARG002
        return FakeWire()


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def start(wire: FakeWire, metrics: Metrics, tmp_path: Path) -> Iterator[Start]:
    """Starts a sink on the wire, with the given settings."""
    with ExitStack() as stack:

        def started(settings: SinkSettings | None = None, **options: object) -> Sink:
            settings = settings or Delivering(**options)
            spool = Spool(tmp_path, 10**6) if isinstance(settings, DeliverySettings) else None
            made = Sink("mes", settings, wire, spool, metrics)
            made.start()
            stack.callback(made.join, 10)
            stack.callback(made.end)
            stack.callback(wire.goes_on.set)
            if settings.enabled:
                wait_until(lambda: wire.log[:2] == ["open", "send []"])
            return made

        yield started


def take(made: Sink, *numbers: int, **values: object) -> None:
    for number in numbers:
        made.take(waiting(number, **values))


def lines_below(folder: Path) -> int:
    return sum(file.read_text().count("\n") for file in folder.glob("*.jsonl"))


def test_what_is_taken_is_delivered_in_order_at_once(start, wire, monkeypatch):
    monkeypatch.setattr(sink, "IDLE_S", 600)
    made = start()
    take(made, 1)
    wait_until(lambda: wire.carried == [1])
    take(made, *range(2, 500))
    wait_until(lambda: wire.carried == list(range(1, 500)))
    assert made.state.model_dump(exclude={"lag_s"}) == {
        "name": "mes",
        "kind": "test",
        "enabled": True,
        "reachable": True,
        "waiting": 0,
        "spooled_bytes": 0,
        "events": made.state.events,
        "last_error": None,
    }
    wait_until(lambda: made.state.events == {"delivered": 499})


def test_only_what_is_chosen_is_taken(start, wire):
    made = start(send="anomalous", lines=("press",))
    take(made, 1)
    take(made, 2, decision="anomalous")
    take(made, 3, decision="anomalous", line="oven")
    take(made, 4, unknown_product=True)
    made.end()
    made.join(10)
    assert wire.carried == [2, 4]
    assert wire.log[-1] == "close"


def test_no_more_is_delivered_than_the_rate_allows(start, wire):
    made = start(rate_limit="2/hour")
    take(made, 1, 2, 3, 4)
    made.end()
    made.join(10)
    assert wire.carried == [1, 2]
    assert made.state.events == {"delivered": 2, "rate-limited": 2}


def test_off_nothing_is_taken_and_what_waits_is_delivered_when_it_is_on_again(start, wire):
    made = start()
    take(made, 1)
    wait_until(lambda: wire.carried == [1])
    wire.lose()
    take(made, 2)
    wait_until(lambda: made.state.spooled_bytes)
    assert made.lag_s > 0
    made.switch(enabled=False)
    wire.find()
    take(made, 3)
    assert (made.state.enabled, made.lag_s) == (False, 0.0)
    made.switch(enabled=True)
    take(made, 4)
    wait_until(lambda: wire.carried == [1, 2, 4])


def test_off_the_wire_is_let_go(start, wire):
    made = start()
    take(made, 1)
    wait_until(lambda: wire.carried == [1])
    made.switch(enabled=False)
    wait_until(lambda: wire.log[-1] == "close")


def test_a_sink_may_be_off_from_the_start(start, wire):
    made = start(enabled=False)
    take(made, 1)
    made.end()
    made.join(10)
    assert wire.log == []


def test_nobody_who_takes_waits_while_a_wire_hangs_and_all_of_it_is_on_disk(
    start, wire, monkeypatch, tmp_path
):
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.05)
    monkeypatch.setattr(sink, "KEEP_S", 0.05)
    monkeypatch.setattr(sink, "IDLE_S", 600)
    made = start()
    wire.goes_on.clear()
    take(made, 1)
    assert wire.began.wait(10)
    take(made, *range(2, 1000))
    wait_until(lambda: made.state.waiting == 0)
    wait_until(lambda: not made.state.reachable)
    wait_until(lambda: lines_below(tmp_path) == 999)
    wire.goes_on.set()
    wait_until(lambda: wire.carried == list(range(1, 1000)))


def test_lag_is_the_age_of_what_has_not_arrived(start, wire):
    made = start()
    now = datetime.now(UTC)
    wire.lose()
    made.take(waiting(1, time=now))
    wait_until(lambda: made.state.spooled_bytes)
    age = (datetime.now(UTC) - now).total_seconds()
    assert 0 < made.lag_s < age + 1
    wire.find()
    wait_until(lambda: made.lag_s == 0)


def test_what_is_too_much_for_memory_is_counted(start, wire, monkeypatch):
    monkeypatch.setattr(queue.Queue.__init__, "__defaults__", (5, 10**6))
    monkeypatch.setattr(delivery, "PATIENCE_S", 30)
    monkeypatch.setattr(sink, "IDLE_S", 600)
    made = start()
    wire.goes_on.clear()
    take(made, 0)
    assert wire.began.wait(10)
    take(made, *range(1, 8))
    wire.goes_on.set()
    made.end()
    made.join(10)
    assert wire.carried == list(range(6))
    assert made.state.events == {"delivered": 6, "queue-full": 2}


def test_what_is_not_delivered_at_the_end_is_on_disk(start, wire, tmp_path):
    made = start()
    wire.lose()
    take(made, 1, 2)
    made.end()
    made.join(10)
    later = Spool(tmp_path, 10**6)
    later.look()
    assert [entry["id"][-1] for entry in later.first().entries] == ["1", "2"]


def test_a_sink_that_does_not_end_in_time_is_left(start, wire, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "PATIENCE_S", 30)
    monkeypatch.setattr(sink, "IDLE_S", 600)
    made = start()
    wire.goes_on.clear()
    take(made, 1)
    assert wire.began.wait(10)
    take(made, 2)
    made.end()
    made.join(0.05)
    assert made.state.events == {"stopped": 1}
    assert "events are lost" in caplog.text


def test_where_the_state_is_shown_the_wire_is_asked_whether_it_works(start, wire, monkeypatch):
    monkeypatch.setattr(sink, "IDLE_S", 0.01)
    start(Showing(lines=("press",)))
    wait_until(lambda: wire.log[:3] == ["open", "send []", "send []"])


def test_an_error_that_nobody_foresaw_does_not_end_the_thread(start, wire, metrics, monkeypatch):
    monkeypatch.setattr(sink, "FAULT_PAUSE_S", 0.0)
    made = start()

    def fault() -> None:
        raise ZeroDivisionError

    broken = waiting(1)
    object.__setattr__(broken, "make", fault)
    made.take(broken)
    wait_until(lambda: made.state.events == {"error": 1})
    take(made, 2)
    wait_until(lambda: wire.carried == [2])
    assert b'onegauge_background_failures_total{task="sink mes"} 1.0' in metrics.exposition()


def test_figures_are_told_by_sink(start, wire, metrics):
    made = start()
    wire.lose()
    take(made, 1)
    wait_until(lambda: made.state.spooled_bytes)
    told = metrics.exposition().decode()
    assert 'onegauge_sink_unreachable{sink="mes"} 1.0' in told
    assert 'onegauge_sink_waiting{sink="mes"} 0.0' in told
    assert f'onegauge_sink_spooled_bytes{{sink="mes"}} {made.state.spooled_bytes}.0' in told
    assert 'onegauge_sink_events_total{outcome="delivered",sink="mes"} 0.0' in told
    made.switch(enabled=False)
    assert 'onegauge_sink_unreachable{sink="mes"} 0.0' in metrics.exposition().decode()
