"""Prometheus metrics of one gateway, in a registry of its own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.contract import Contract
from service.schemas import LINE_MAX_LENGTH, Decision

MAX_LINES = 100
NO_LINE, OTHER_LINE = "none", "other"
SCORES = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PROVENANCE_LABELS = ("detector", "backbone")
MODEL_LABELS = ("name", "version", "backend", *PROVENANCE_LABELS)

Stage = Literal["read", "decode", "infer", "postprocess", "encode"]


class Metrics:
    """Counts what the gateway does; every label takes a bounded number of values."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._lines: set[str] = set()
        self._served: Contract | None = None
        counter = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry)
        self._decisions = counter(
            "onegauge_decisions", "Inspected images by decision", ["line", "decision"]
        )
        self._unknown = counter(
            "onegauge_unknown_products", "Inspected images of a product never seen", ["line"]
        )
        self._score = histogram(
            "onegauge_image_score", "Image scores; anomalous from 1", ["line"], buckets=SCORES
        )
        self._rejected = counter(
            "onegauge_rejected", "Images and requests refused or failed, by reason", ["reason"]
        )
        self._stages = histogram(
            "onegauge_stage_duration_seconds",
            "Time by stage: read and infer per request, the others per image",
            ["stage"],
            buckets=SECONDS,
        )
        self._model = gauge("onegauge_model_info", "The model version that answers", MODEL_LABELS)
        self.in_flight = gauge("onegauge_requests_in_flight", "Inspections under way")

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def decided(self, decision: Decision, line: str | None) -> None:
        """Count an inspected image."""
        label = self._line(line)
        self._decisions.labels(label, decision.decision).inc()
        self._score.labels(label).observe(decision.score)
        if decision.unknown_product:
            self._unknown.labels(label).inc()

    def rejected(self, reason: str) -> None:
        """Count a refused image or request."""
        self._rejected.labels(reason).inc()

    def serves(self, contract: Contract) -> None:
        """Tell which model version answers."""
        if contract != self._served:
            self._served = contract
            provenance = (contract.parameters.get(key, "") for key in PROVENANCE_LABELS)
            self._model.clear()
            info = self._model.labels(
                contract.name, contract.version, contract.backend, *provenance
            )
            info.set(1)

    @contextmanager
    def stage(self, stage: Stage, timing_ms: dict[str, float]) -> Iterator[None]:
        """Measure a stage, also into `timing_ms`."""
        start = perf_counter()
        yield
        seconds = perf_counter() - start
        self._stages.labels(stage).observe(seconds)
        timing_ms[stage] = round(1000 * seconds, 3)

    def _line(self, line: str | None) -> str:
        if line is None:
            return NO_LINE
        if not re.fullmatch(rf"[\w .:-]{{1,{LINE_MAX_LENGTH}}}", line, re.ASCII):
            return OTHER_LINE
        if line not in self._lines and len(self._lines) >= MAX_LINES:
            return OTHER_LINE
        self._lines.add(line)
        return line
