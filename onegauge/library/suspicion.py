"""Which normal images are least like their like, and may be defective."""

from __future__ import annotations

import numpy as np

from onegauge.library.conformal import highest_of
from onegauge.library.likeness import Array, Neighbours, Rows

ODDEST = 0.01  # of a plain map's pixels, whose mean is how odd an image is
ROUNDING = 1e-6  # of weights that add up to 1


def suspicion(oddness: Array, neighbours: Neighbours, known: Array) -> Array:
    """How odd B images are in the measure of their neighbours, (B,); 1 for the usual one.

    `oddness` (B,) and that `known` (N,) of the references are scores of plain maps. The measure is
    the weighted median of the neighbours' oddness, so that a rare product is judged by its own
    images and a few defective ones among these do not count.
    """
    ratio: Array = oddness / median(known, neighbours).clip(min=1e-6)
    return ratio


def most_suspicious(suspicion: Array, pictures: Rows) -> Rows:
    """The pictures (P,), the most suspicious first, by the suspicion (N,) of the worst tile."""
    order = np.argsort(-highest_of(suspicion, pictures), kind="stable")
    return np.unique(pictures)[order]


def median(values: Array, neighbours: Neighbours) -> Array:
    """The weighted median (B,) of what the neighbours have of the references' values (N,)."""
    order = values[neighbours.rows].argsort(1, kind="stable")  # (B, k)
    below = np.take_along_axis(neighbours.weights, order, 1).cumsum(1)
    middle = (below >= 0.5 - ROUNDING).argmax(1, keepdims=True)
    rows = np.take_along_axis(np.take_along_axis(neighbours.rows, order, 1), middle, 1)
    return values[rows[:, 0]]
