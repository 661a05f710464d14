"""Prometheus metrics of records."""

from functools import partial
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

Loss = Literal[
    "queue-full",
    "spool-full",
    "spool-failed",
    "damaged",
    "refused",
    "stopped",
    "error",
    "picture",
]


class RecordMetrics:
    """What becomes of records on their way to the database."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        self.written = Counter(
            "onegauge_records_written", "Records in the database", registry=registry
        )
        self._lost = Counter(
            "onegauge_records_lost",
            "Records, and pictures of them, that are lost",
            ["reason"],
            registry=registry,
        )
        for reason in get_args(Loss):  # so that the first one is an increase
            self._lost.labels(reason)
        self.waiting = gauge("onegauge_records_waiting", "Records in memory")
        self.spooled = gauge(
            "onegauge_records_spool_bytes", "Records on disk that wait for the database"
        )
        self.unreachable = gauge(
            "onegauge_records_unreachable", "1 while database or pictures cannot be reached"
        )

    def lost(self, reason: Loss, count: int = 1) -> None:
        """Count records that are lost, or pictures of records that are not."""
        self._lost.labels(reason).inc(count)
