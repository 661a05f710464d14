"""Drift without labels: on normal production the p-values of each line are uniform.

Each line has a window of its last images. Two figures of it are compared with what normal images
alone would give in all but one window of a thousand: the Kolmogorov-Smirnov distance of its
p-values from uniform, and the share of images that are flagged at the model's false-alarm rate.
Both bounds know that the calibration images are a sample, too.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, floor, inf, lgamma, log, sqrt

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from onegauge.service.model.contract import Contract
from onegauge.service.model.uniformity import ks_distance

WINDOW = 500  # images of a line
CHANCE = 1e-3  # of a figure beyond its bound where nothing has changed
FIGURES = {
    "images": "Images in the line's window, which the other figures are of",
    "ks_distance": "Kolmogorov-Smirnov distance of the window's p-values from uniform",
    "ks_bound": "What normal images exceed in one window of a thousand",
    "flagged_ratio": "Share of the window with a p-value up to the model's false-alarm rate",
    "flagged_bound": "What normal images exceed in one window of a thousand",
}


@dataclass(frozen=True)
class Reference:
    """What the p-values of a model promise."""

    images: int  # in the calibration
    false_alarm_rate: float

    @classmethod
    def of(cls, contract: Contract) -> "Reference | None":
        """None for a model that does not say."""
        images, rate = contract.calibration_images, contract.false_alarm_rate
        return None if images is None or rate is None else cls(images, rate)

    def figures(self, p_values: Sequence[float]) -> dict[str, float]:
        """The FIGURES of a window."""
        images = len(p_values)
        level = _ranks(self.false_alarm_rate, self.images) / (self.images + 1)
        flagged = sum(p <= level + 1e-6 for p in p_values)  # float32 may round up
        return {
            "images": images,
            "ks_distance": ks_distance(p_values, self.images),
            "ks_bound": ks_bound(images, self.images),
            "flagged_ratio": flagged / images,
            "flagged_bound": flagged_bound(images, self.images, self.false_alarm_rate),
        }


class Drift(Collector):
    """The windows of all lines, and their figures as metrics."""

    def __init__(self) -> None:
        self._reference: Reference | None = None
        self._contract: Contract | None = None
        self._windows: dict[str, deque[float]] = {}

    def serves(self, contract: Contract) -> None:
        """Begin anew with another model, whose p-values do not compare with those before."""
        if contract != self._contract:
            self._windows.clear()
            self._contract, self._reference = contract, Reference.of(contract)

    def observe(self, line: str, p_value: float) -> None:
        """Add an image to the window of its line; who names lines bounds their number."""
        if window := self._windows.get(line):
            window.append(p_value)
        else:  # never empty: a thread may collect the figures between any two steps
            self._windows[line] = deque([p_value], WINDOW)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every figure of every line; may run in a thread beside the others."""
        reference, windows = self._reference, self._windows.copy()
        families = {
            name: GaugeMetricFamily(f"onegauge_drift_{name}", text, labels=["line"])
            for name, text in FIGURES.items()
        }
        for line, window in windows.items() if reference else ():
            assert reference
            for name, value in reference.figures(tuple(window)).items():
                families[name].add_metric([line], value)
        yield from families.values()


def ks_bound(images: int, calibration_images: int) -> float:
    """Of the two-sample test, since p-values are ranks among the calibration images.

    The asymptotic form of Smirnov (1948).
    """
    if not images or not calibration_images:
        return inf
    return sqrt(-log(CHANCE / 2) / 2) * sqrt(1 / images + 1 / calibration_images)


@lru_cache(maxsize=2 * WINDOW)
def flagged_bound(images: int, calibration_images: int, false_alarm_rate: float) -> float:
    """The share of normal images flagged that is exceeded with probability CHANCE at most.

    Given its calibration images, a model flags with a probability that is Beta(k, n + 1 - k),
    k = ⌊rate · (n + 1)⌋ (Vovk, Conditional validity of inductive conformal predictors, 2012), so
    that the number flagged is beta-binomial.
    """
    k = _ranks(false_alarm_rate, calibration_images)
    if k == 0:
        return 0.0
    rest, beyond = calibration_images + 1 - k, 1.0
    for flagged in range(images):
        beyond -= exp(
            -log(images + 1)
            - _log_beta(images - flagged + 1, flagged + 1)
            + _log_beta(flagged + k, images - flagged + rest)
            - _log_beta(k, rest)
        )
        if beyond <= CHANCE:
            return flagged / images
    return 1.0


def _ranks(false_alarm_rate: float, calibration_images: int) -> int:
    """How many of the lowest levels that a p-value may take are flagged."""
    return floor(false_alarm_rate * (calibration_images + 1) + 1e-6)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
