"""Prometheus metrics of sinks."""

from collections import Counter as Counts
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

Outcome = Literal[
    "delivered",
    "rate-limited",
    "refused",
    "queue-full",
    "spool-full",
    "spool-failed",
    "damaged",
    "unreachable",
    "stopped",
    "error",
]


@dataclass(frozen=True)
class Told:
    """What a sink tells of itself whenever it is asked."""

    waiting: Callable[[], int]  # events in memory
    spooled: Callable[[], int]  # bytes
    lag_s: Callable[[], float]
    unreachable: Callable[[], bool]


@dataclass(frozen=True)
class Tally:
    """What became of the events of one sink, also as counted here since the start."""

    counter: Counter
    sink: str
    counts: Counts[str] = field(default_factory=Counts)

    def count(self, outcome: Outcome, events: int = 1) -> None:
        """Count events; one thread counts an outcome."""
        if events:
            self.counter.labels(self.sink, outcome).inc(events)
            self.counts[outcome] += events


class SinkMetrics:
    """Those of all sinks of a gateway, by the names of the sinks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, labelnames=["sink"], registry=registry)
        self._events = Counter(
            "onegauge_sink_events",
            "Events of a sink by what became of them",
            ["sink", "outcome"],
            registry=registry,
        )
        self._waiting = gauge("onegauge_sink_waiting", "Events of a sink in memory")
        self._spooled = gauge("onegauge_sink_spooled_bytes", "Events of a sink that wait on disk")
        self._lag = gauge(
            "onegauge_sink_lag_seconds", "Age of the oldest event that a sink has not delivered"
        )
        self._unreachable = gauge(
            "onegauge_sink_unreachable", "1 while what a sink delivers to takes nothing"
        )

    def tally(self, sink: str) -> Tally:
        """What counts the events of a sink, each outcome from 0 on."""
        for outcome in get_args(Outcome):  # so that the first one is an increase
            self._events.labels(sink, outcome)
        return Tally(self._events, sink)

    def observe(self, sink: str, told: Told) -> None:
        """Ask a sink for its figures whenever they are wanted."""
        self._waiting.labels(sink).set_function(told.waiting)
        self._spooled.labels(sink).set_function(told.spooled)
        self._lag.labels(sink).set_function(told.lag_s)
        self._unreachable.labels(sink).set_function(told.unreachable)
