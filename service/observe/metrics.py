"""Prometheus metrics of one gateway, in a registry of its own."""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import cache, partial
from typing import Any, Literal
from unicodedata import category

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from onegauge.schemas import LINE_MAX_LENGTH, Decision, Rejection
from onegauge.service.observe.model import ModelMetrics
from onegauge.service.observe.records import RecordMetrics
from onegauge.service.observe.sinks import SinkMetrics
from onegauge.service.observe.stopwatch import Stopwatch

MAX_LINES = 100
NO_LINE, OTHER_LINE = "none", "other"
NO_PATH = "other"
SCORES = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
P_VALUES = (0.001, 0.005, 0.01, 0.02, 0.05, *(round(0.1 * i, 1) for i in range(1, 11)))
NOVELTIES = (0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 5.0)
RAW_SCORES = tuple(0.001 * 2**i for i in range(18))  # detectors have units of their own
BATCHES = (1, 2, 4, 8, 16, 32, 64)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OF_IMAGES = {
    "image_score": ("Image scores; anomalous from 1", SCORES),
    "p_value": ("Share of normal images that score so high", P_VALUES),
    "normal_location": ("Raw score that normal images of the kind have", RAW_SCORES),
    "normal_scale": ("Spread of the raw scores of such images", RAW_SCORES),
    "novelty": ("Distance from all that training has seen; unknown from 1", NOVELTIES),
}
MANY = 256  # figures that are counted together

Stage = Literal["read", "decode", "infer", "postprocess", "encode"]


class Metrics:
    """Counts what the gateway does; every label takes a bounded number of values."""

    def __init__(self, span: Callable[[str], AbstractContextManager[object]] | None = None) -> None:
        self._span = span  # of each stage, for traces
        self._noted = deque[tuple[Callable[[float], None], float]]()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._lines: set[str] = set()
        self._child = cache(_child)
        counter = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry)
        seconds = partial(histogram, buckets=SECONDS)
        self._decisions = counter(
            "onegauge_decisions", "Inspected images by decision", ["line", "decision"]
        )
        self._unknown = counter(
            "onegauge_unknown_products", "Inspected images of a product never seen", ["line"]
        )
        self._parts = counter(
            "onegauge_parts", "Parts of several views by decision", ["line", "decision"]
        )
        self.parts_waiting = gauge("onegauge_parts_waiting", "Parts whose views are not all in")
        self._of_images = {
            name: histogram(f"onegauge_{name}", text, ["line"], buckets=buckets)
            for name, (text, buckets) in OF_IMAGES.items()
        }
        self._requests = counter(
            "onegauge_requests", "Requests answered, by path and status", ["path", "status"]
        )
        self._request_seconds = seconds(
            "onegauge_request_duration_seconds",
            "Time from a request's header to its answer",
            ["path"],
        )
        self._rejected = counter(
            "onegauge_rejected", "Images and requests refused or failed, by reason", ["reason"]
        )
        self._stages = seconds(
            "onegauge_stage_duration_seconds",
            "Time by stage: read per request, infer per batch, the others per image",
            ["stage"],
        )
        self._queue_seconds = seconds(
            "onegauge_queue_wait_seconds", "Time that a read request waits for its turn"
        )
        self._backend_seconds = seconds(
            "onegauge_backend_duration_seconds", "Time of a batch, the backend's queue included"
        )
        self._batch_images = histogram(
            "onegauge_backend_batch_images",
            "Images of a batch as the gateway sends it",
            buckets=BATCHES,
        )
        self.keys_unreadable = gauge(
            "onegauge_api_keys_unreadable", "1 while the file of the API keys cannot be used"
        )
        self.background_failures = counter(
            "onegauge_background_failures",
            "Errors of tasks beside the requests, which go on",
            ["task"],
        )
        self.model = ModelMetrics(self._registry)
        self.records = RecordMetrics(self._registry)
        self.sinks = SinkMetrics(self._registry)
        self.in_flight = gauge("onegauge_requests_in_flight", "Inspections under way")
        self.waiting = gauge("onegauge_requests_waiting", "Read requests that wait for their turn")
        self.buffered = gauge("onegauge_buffered_bytes", "Bytes of request bodies in memory")

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        self._count()
        return generate_latest(self._registry)

    def answered(
        self, result: Decision | Rejection, line: str | None, *, masked: bool = False
    ) -> None:
        """Count an image of an answer; the p-value of one under a mask is no figure of the line.

        Of a part it is higher than of the whole, and not uniform on normal production.
        """
        if isinstance(result, Rejection):
            self.rejected(result.problem.type.rpartition("/")[2])
            return
        label = self._line(line)
        self._note(self._child(self._decisions, label, result.decision).inc, 1)
        values = {
            "image_score": result.score,
            "normal_location": result.normal.location,
            "normal_scale": result.normal.scale,
            "novelty": result.novelty,
        }
        if not masked:
            values["p_value"] = result.p_value
            self.model.drift.observe(label, result.p_value)
        for name, value in values.items():
            self._note(self._child(self._of_images[name], label).observe, value)
        if result.unknown_product:
            self._note(self._child(self._unknown, label).inc, 1)

    def decided_part(self, line: str | None, decision: str) -> None:
        """Count a part of several views."""
        self._child(self._parts, self._line(line), decision).inc()

    def requested(self, path: str | None, status: int, seconds: float) -> None:
        """Count a request by the route that took it, None where there is none."""
        self._note(self._child(self._requests, path or NO_PATH, str(status)).inc, 1)
        self._note(self._child(self._request_seconds, path or NO_PATH).observe, seconds)

    def rejected(self, reason: str) -> None:
        """Count a refused image or request."""
        self._note(self._child(self._rejected, reason).inc, 1)

    def queued(self, seconds: float) -> None:
        """Count a request whose turn has come."""
        self._note(self._queue_seconds.observe, seconds)

    def batch(self, images: int, waited: float) -> Stopwatch:
        """Measure a batch at the backend, which has `waited` some seconds for its turn before."""

        def tell(seconds: float) -> None:
            self._note(self._backend_seconds.observe, waited + seconds)
            self._note(self._batch_images.observe, images)

        return Stopwatch(tell)

    def stage(self, stage: Stage, timing_ms: dict[str, float]) -> Stopwatch:
        """Measure a stage, also into `timing_ms`."""

        def tell(seconds: float) -> None:
            self._note(self._child(self._stages, stage).observe, seconds)
            timing_ms[stage] = round(1000 * seconds, 3)

        return Stopwatch(tell, self._span and self._span(stage))

    def _note(self, count: Callable[[float], None], value: float) -> None:
        """Have a figure counted with many, which the processor's caches then have to load once."""
        self._noted.append((count, value))
        if len(self._noted) >= MANY:
            self._count()

    def _count(self) -> None:
        with suppress(IndexError):  # another thread may count the last one
            while True:
                count, value = self._noted.popleft()
                count(value)

    def _line(self, line: str | None) -> str:
        if line is None:
            return NO_LINE
        if line in self._lines:
            return line
        if not _is_label(line) or len(self._lines) >= MAX_LINES:
            return OTHER_LINE
        self._lines.add(line)
        return line


def _child(metric: Counter | Histogram, *labels: str) -> Any:
    return metric.labels(*labels)


def _is_label(line: str) -> bool:
    """Whether it has letters, with their marks, and digits of any script, and ` _.:-`, only."""
    fits = 0 < len(line) <= LINE_MAX_LENGTH
    return fits and all(c in " _.:-" or category(c)[0] in "LMN" for c in line)
