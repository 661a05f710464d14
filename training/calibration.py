"""Split conformal calibration: from held-out normal scores to one threshold with a promise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.errors import DataError


def images_needed(rate: float) -> int:
    """Calibration images without which a false-alarm rate cannot be promised: n ≥ 1/α - 1."""
    return math.ceil(1 / rate - 1 - 1e-9)


def carried(rate: float, images: int) -> float:
    """The rate that so many calibration images can promise: `rate`, or 1/(n + 1) if too few."""
    return max(rate, 1 / (images + 1))


def conformal_threshold(scores: Tensor, rate: float) -> float:
    """The split conformal threshold of n exchangeable normal scores (n,) at `rate`.

    A new image is flagged at `score >= threshold`, which is halfway between the k-th smallest
    score, k = ⌈(n + 1)(1 - rate)⌉, and the next, so that what is flagged has a conformal
    p-value of at most `rate`. Where n < 1/rate - 1 it lies just above the largest score.
    """
    ordered = scores.double().sort().values
    n = len(ordered)
    k = min(math.ceil((n + 1) * (1 - rate) - 1e-9), n)
    above = ordered[k] if k < n else ordered[-1] + 1e-4 * (ordered[-1] - ordered.median()).abs()
    return float((ordered[k - 1] + above) / 2)


def highest_of(values: Tensor, pictures: Tensor) -> Tensor:
    """The highest of the values (N,) of each picture's tiles, in the pictures' order (n,)."""
    _, places = pictures.unique(return_inverse=True)
    highest = values.new_full((int(places.max()) + 1,), -torch.inf)
    return highest.scatter_reduce(0, places, values, "amax")


class Calibration(nn.Module):
    """The affine map that puts the typical normal score at 0 and the threshold at exactly 1.

    Being affine and increasing it moves no decision; being the same for the map, a pixel of the
    anomaly map and the score are read in one unit. Holds the sorted calibration scores for the
    p-value `(1 + #{calibration >= score}) / (n + 1)`.
    """

    scores: Tensor
    origin: Tensor
    span: Tensor

    def __init__(self, images: int) -> None:
        super().__init__()
        self.register_buffer("scores", torch.zeros(images))  # (n,) calibrated
        self.register_buffer("origin", torch.zeros(()))
        self.register_buffer("span", torch.ones(()))

    @classmethod
    def of(cls, aligned: Tensor, rate: float) -> Calibration:
        """Calibrate on the aligned scores (n,) of held-out normal images.

        Raises DataError when they are too much alike to tell what is normal.
        """
        calibration = cls(len(aligned))
        calibration.origin = aligned.median()
        calibration.span = conformal_threshold(aligned, rate) - calibration.origin
        if not calibration.span > 0:
            raise DataError(
                f"the scores of the {len(aligned)} calibration images do not differ: "
                "train on different images instead of copies of one"
            )
        calibration.scores = calibration(aligned).sort().values
        return calibration

    def forward(self, aligned: Tensor) -> Tensor:
        """Aligned scores or maps of any shape, calibrated: anomalous from 1.0 on."""
        return (aligned - self.origin) / self.span

    def p_value(self, score: Tensor) -> Tensor:
        """Conformal p-values (B,) of calibrated scores (B,)."""
        reached = (self.scores >= score.unsqueeze(1)).float().sum(1)
        return (1 + reached) / (len(self.scores) + 1)
