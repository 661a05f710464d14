"""How many images of how many, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from onegauge.library.likeness import Array
from onegauge.training.report.headline import interval, percent

Z = 1.959964  # standard deviations that hold 95 % of a normal distribution


@dataclass(frozen=True)
class Share:
    """How many images of how many."""

    count: int
    images: int

    @classmethod
    def of(cls, scores: Array) -> Share:
        """Those that are flagged by scores (n,)."""
        return cls(int((scores >= 1).sum()), len(scores))

    @property
    def rate(self) -> float:
        """The share."""
        return self.count / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate that images like these have (Wilson 1927)."""
        z2 = Z**2
        middle = (self.count + z2 / 2) / (self.images + z2)
        within = self.count * (self.images - self.count) / self.images + z2 / 4
        half = sqrt(z2 * within) / (self.images + z2)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        return f"{self.count} of {self.images} ({percent(self.rate)}, {interval(self.interval)})"
