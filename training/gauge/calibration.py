"""Conformal calibration: from scores of normal images, left out or held out, to one threshold."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from onegauge.training.errors import DataError

ROUNDING = 1e-6  # of the largest score: what differs by less does so by chance


def images_needed(rate: float) -> int:
    """Calibration images without which a false-alarm rate cannot be promised: n ≥ 1/α - 1."""
    return math.ceil(1 / rate - 1 - 1e-9)


def carried(rate: float, images: int) -> float:
    """The rate that so many calibration images can promise: `rate`, or 1/(n + 1) if too few."""
    return max(rate, 1 / (images + 1))


def conformal_threshold(scores: Tensor, rate: float) -> float:
    """The split conformal threshold of n exchangeable normal scores (n,) at `rate`.

    A new image is flagged at `score >= threshold`, which is halfway between the k-th smallest
    score, k as in `kept`, and the next higher one: scores that tie with the k-th are normal. Where
    there is none it lies just above the largest score.
    """
    ordered = scores.double().sort().values
    last = ordered[kept(rate, len(ordered)) - 1]
    beyond = ordered[-1] + 1e-4 * (ordered[-1] - ordered.median()).abs()
    above = torch.where(ordered > last, ordered, torch.inf).amin()
    return float((last + torch.where(above.isfinite(), above, beyond)) / 2)


def kept(rate: float, images: int) -> int:
    """How many of n calibration scores are below the threshold: k = n + 1 - ⌊(n + 1) rate⌋.

    As many as have p-values above `rate`, compared in float32 as the gateway does; all of them
    where they are too few for the rate.
    """
    levels = torch.arange(1, images + 1) / (images + 1)  # that p-values may have
    return images + 1 - max(1, int((levels <= torch.tensor(rate)).sum()))


def highest_of(values: Tensor, pictures: Tensor) -> Tensor:
    """The highest of the values (N,) of each picture's tiles, in the pictures' order (n,)."""
    _, places = pictures.unique(return_inverse=True)
    highest = values.new_full((int(places.max()) + 1,), -torch.inf)
    return highest.scatter_reduce(0, places, values, "amax")


class Calibration(nn.Module):
    """The affine map that puts the typical normal score at 0 and the threshold at exactly 1.

    Being affine and increasing it moves no decision; being the same for the map, a pixel of the
    anomaly map and the score are read in one unit. Holds the sorted calibration scores for the
    p-value `(1 + #{calibration >= score}) / (n + 1)`, which is at most the promised rate where the
    score is 1 or more, and nowhere else.
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
        span = conformal_threshold(aligned, rate) - float(calibration.origin)
        calibration.span = torch.tensor(span)  # from more digits than float32 has
        if not calibration.span > ROUNDING * aligned.abs().amax():
            raise DataError(
                f"the scores of the {len(aligned)} calibration images do not differ: train on "
                "images of different parts, which must differ where a --mask is white"
            )
        calibration.scores = _divided(calibration(aligned).sort().values, kept(rate, len(aligned)))
        return calibration

    def forward(self, aligned: Tensor) -> Tensor:
        """Aligned scores or maps of any shape, calibrated: anomalous from 1.0 on."""
        return (aligned - self.origin) / self.span

    def p_value(self, score: Tensor) -> Tensor:
        """Conformal p-values (B,) of calibrated scores (B,)."""
        reached = (self.scores >= score.unsqueeze(1)).float().sum(1)
        return (1 + reached) / (len(self.scores) + 1)


def _divided(scores: Tensor, below: int) -> Tensor:
    """Calibrated scores in rising order (n,), of which `below` are under the threshold.

    The last of these is moved up to the threshold: between the two lies no other, so a p-value of
    at most the rate would else begin at that score, and the score decides from the threshold on.
    """
    under = torch.nextafter(torch.ones(()), torch.zeros(()))
    lower, upper = scores[: below - 1], scores[below:]
    return torch.cat([lower.clamp_max(under), under.view(1), upper.clamp_min(under)])
