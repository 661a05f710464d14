"""Prometheus metrics of the model: which version answers, by which criterion, and one beside it."""

from functools import partial
from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from onegauge.service.model.contract import Contract
from onegauge.service.observe.drift import Drift

DIFFERENCES = (-1.0, -0.5, -0.2, -0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
PROVENANCE_LABELS = ("detector", "backbone")
MODEL_LABELS = ("name", "version", "digest", "backend", *PROVENANCE_LABELS)
DIGEST_LENGTH = 12


class ModelMetrics:
    """What the gateway tells of the versions of its model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        self.drift = Drift()
        registry.register(self.drift)
        self._model = gauge("onegauge_model_info", "The model version that answers", MODEL_LABELS)
        self._calibrated = gauge(
            "onegauge_model_calibrated_timestamp_seconds", "When the model was calibrated"
        )
        self._criterion = gauge(
            "onegauge_criterion", "What decides where a request does not say", ["kind"]
        )
        self._refused = gauge(
            "onegauge_model_refused", "1 for a version that could not be served", ["version"]
        )
        self._shadow_decisions = Counter(
            "onegauge_shadow_decisions",
            "Decisions of the shadow version beside ours",
            ["agreed"],
            registry=registry,
        )
        self._shadow_skipped = Counter(
            "onegauge_shadow_skipped",
            "Requests that the shadow version had no time for",
            registry=registry,
        )
        self._shadow_difference = Histogram(
            "onegauge_shadow_score_difference",
            "Score of the shadow version less that of the version that answers",
            buckets=DIFFERENCES,
            registry=registry,
        )

    def serves(self, contract: Contract) -> None:
        """Tell which model version answers."""
        provenance = (contract.parameters.get(key, "") for key in PROVENANCE_LABELS)
        self._refused.clear()
        self._model.clear()
        digest = contract.parameters.get("model_digest", "")[:DIGEST_LENGTH]
        served = contract.name, contract.version, digest, contract.backend
        self._model.labels(*served, *provenance).set(1)
        self._calibrated.set(contract.calibrated_at or nan)
        self.drift.serves(contract)

    def decides_by(self, threshold: float | None, max_false_alarm_rate: float | None) -> None:
        """Tell the criterion of the deployment, of which one is None."""
        told = {"threshold": threshold, "max_false_alarm_rate": max_false_alarm_rate}
        self._criterion.clear()
        for kind, value in told.items():
            if value is not None:
                self._criterion.labels(kind).set(value)

    def refuses(self, version: str | None) -> None:
        """Tell which version was to be served and could not be, None where there is none."""
        self._refused.clear()
        if version is not None:
            self._refused.labels(version).set(1)

    def shadowed(self, *, agreed: bool, difference: float) -> None:
        """Count an image that the shadow version has decided, too; `difference` of the scores."""
        self._shadow_decisions.labels(str(agreed).lower()).inc()
        self._shadow_difference.observe(difference)

    def shadow_skipped(self) -> None:
        """Count a request that the shadow version did not get to, or failed at."""
        self._shadow_skipped.inc()
