"""When an image is anomalous: by its score, or by its p-value."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onegauge.schemas import Options, Verdict
from onegauge.service.errors import InvalidOption, UnpromisedRate
from onegauge.service.model.contract import Contract

Singles: TypeAlias = NDArray[np.float32] | np.float32
NOVELTY_THRESHOLD = 1.0
DEFAULT_THRESHOLD = 1.0


@dataclass(frozen=True)
class Criterion:
    """When an image is anomalous: by its score, or by its p-value if a rate is given."""

    threshold: float = DEFAULT_THRESHOLD  # in score units
    max_false_alarm_rate: float | None = None

    @property
    def score_threshold(self) -> float | None:
        """The threshold, None where the p-value decides."""
        return self.threshold if self.max_false_alarm_rate is None else None

    def check(self, contract: Contract) -> None:
        """Refuse a rate that the calibration of the model is too small to promise."""
        if self.max_false_alarm_rate is None:
            return
        images = contract.calibration_images
        if images is None:
            raise InvalidOption("The model does not say how many images it was calibrated on.")
        if self.max_false_alarm_rate < (least := 1 / (images + 1)):
            raise InvalidOption(
                f"max_false_alarm_rate {self.max_false_alarm_rate:g} is below 1/{images + 1}, the "
                f"least that {images} calibration images can promise; raise it, decide by a "
                f"threshold, or train with more images.",
                least_false_alarm_rate=least,
            )

    def judge(self, score: float, p_value: float) -> Verdict:
        """Decide on one image, in the graph's own precision."""
        return "anomalous" if self.met_by(np.float32(score), np.float32(p_value)) else "normal"

    def met_by(self, scores: Singles, p_values: Singles) -> NDArray[np.bool_] | np.bool_:
        """Which images are anomalous, by their scores and p-values (B,), or those of one."""
        if self.max_false_alarm_rate is not None:
            return p_values <= np.float32(self.max_false_alarm_rate)
        return scores >= self._least

    @cached_property
    def _least(self) -> np.float32:
        with np.errstate(over="ignore"):  # a threshold beyond all numbers is never reached
            return np.float32(self.threshold)


@dataclass(frozen=True)
class DeploymentCriterion(Criterion):
    """The criterion of the settings, or one that was saved: only the operator can mend it."""

    origin: str = "ONEGAUGE_MAX_FALSE_ALARM_RATE"

    def check(self, contract: Contract) -> None:
        """Fail at a rate that the calibration of the model is too small to promise."""
        try:
            super().check(contract)
        except InvalidOption as exc:
            message = f"{self.origin} does not suit the model: {exc}"
            raise UnpromisedRate(message, **exc.extensions) from exc


def requested_criterion(options: Options) -> Criterion | None:
    """The criterion that a request brings, None where it leaves that to the deployment."""
    if options.threshold is not None:
        return Criterion(options.threshold)
    if options.max_false_alarm_rate is not None:
        return Criterion(max_false_alarm_rate=options.max_false_alarm_rate)
    return None


def p_values(scores: NDArray[np.float32], calibration: NDArray[np.float32]) -> NDArray[np.float32]:
    """The conformal p-values (B,) of scores (B,), by calibration scores (n,) in rising order."""
    reached = len(calibration) - np.searchsorted(calibration, scores, "left")
    return ((1 + reached) / (len(calibration) + 1)).astype(np.float32)


def decimal(value: np.float32) -> float:
    """The shortest decimal number that stands for `value`: 0.1, not 0.10000000149."""
    return float(str(value))
