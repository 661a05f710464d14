"""Conformal calibration: from scores of normal images, left out or held out, to one threshold."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onegauge.library.errors import LibraryError

ROUNDING = 1e-6  # of the largest score: what differs by less does so by chance


class Calibrated(NamedTuple):
    """The affine map that puts the typical normal score at 0 and the threshold at exactly 1."""

    origin: np.float32
    span: np.float32
    scores: NDArray[np.float32]  # (n,) calibrated, in rising order

    def __call__(self, aligned: NDArray[np.float32]) -> NDArray[np.float32]:
        """Aligned scores or maps of any shape, calibrated: anomalous from 1.0 on."""
        return (aligned - self.origin) / self.span

    def p_value(self, score: NDArray[np.float32]) -> NDArray[np.float64]:
        """Conformal p-values (B,) of calibrated scores (B,)."""
        below = np.searchsorted(self.scores, score, side="left")
        return (1 + len(self.scores) - below) / (len(self.scores) + 1)


def images_needed(rate: float) -> int:
    """Calibration images without which a false-alarm rate cannot be promised: n ≥ 1/α - 1."""
    return math.ceil(1 / rate - 1 - 1e-9)


def carried(rate: float, images: int) -> float:
    """The rate that so many calibration images can promise: `rate`, or 1/(n + 1) if too few."""
    return max(rate, 1 / (images + 1))


def conformal_threshold(scores: NDArray[np.floating], rate: float) -> float:
    """The split conformal threshold of n exchangeable normal scores (n,) at `rate`.

    A new image is flagged at `score >= threshold`, which is halfway between the k-th smallest
    score, k as in `kept`, and the next higher one: scores that tie with the k-th are normal. Where
    there is none it lies just above the largest score.
    """
    ordered = np.sort(scores.astype(np.float64))
    last = ordered[kept(rate, len(ordered)) - 1]
    higher = ordered[ordered > last]
    above = higher[0] if len(higher) else ordered[-1] + 1e-4 * abs(ordered[-1] - median(ordered))
    return float((last + above) / 2)


def kept(rate: float, images: int) -> int:
    """How many of n calibration scores are below the threshold: k = n + 1 - ⌊(n + 1) rate⌋.

    As many as have p-values above `rate`, compared in float32 as the gateway does; all of them
    where they are too few for the rate.
    """
    levels = np.arange(1, images + 1, dtype=np.float32) / np.float32(images + 1)  # of p-values
    return images + 1 - max(1, int((levels <= np.float32(rate)).sum()))


def calibrated(aligned: NDArray[np.float32], rate: float) -> Calibrated:
    """Calibrate on the aligned scores (n,) of normal images.

    Raises LibraryError when they are too much alike to tell what is normal.
    """
    origin = np.float32(median(np.sort(aligned)))
    span = np.float32(conformal_threshold(aligned, rate) - float(origin))  # from all its digits
    if not span > ROUNDING * np.abs(aligned).max():
        raise LibraryError(
            f"the scores of the {len(aligned)} calibration images do not differ: train on "
            "images of different parts, which must differ where a --mask is white"
        )
    scores = np.sort((aligned.astype(np.float32) - origin) / span)
    return Calibrated(origin, span, _divided(scores, kept(rate, len(aligned))))


def highest_of(values: NDArray[np.floating], pictures: NDArray[np.int64]) -> NDArray[np.floating]:
    """The highest of the values (N,) of each picture's tiles, in the pictures' order (n,)."""
    _, places = np.unique(pictures, return_inverse=True)
    highest = np.full(int(places.max()) + 1, -np.inf, values.dtype)
    np.maximum.at(highest, places, values)
    return highest


def median(ordered: NDArray[np.floating]) -> float:
    """The lower median of values in rising order (n,)."""
    return float(ordered[(len(ordered) - 1) // 2])


def _divided(scores: NDArray[np.float32], below: int) -> NDArray[np.float32]:
    """Calibrated scores in rising order (n,), of which `below` are under the threshold.

    The last of these is moved up to the threshold: between the two lies no other, so a p-value of
    at most the rate would else begin at that score, and the score decides from the threshold on.
    """
    under = np.nextafter(np.float32(1), np.float32(0))
    lower, upper = scores[: below - 1], scores[below:]
    return np.concatenate([np.minimum(lower, under), [under], np.maximum(upper, under)])
