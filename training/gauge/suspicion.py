"""Which images of training are least like their like, and may be defective."""

from __future__ import annotations

from torch import Tensor

from onegauge.training.backbones.retrieval import Neighbours
from onegauge.training.gauge.calibration import highest_of

ODDEST = 0.01  # of a plain map's pixels, whose mean is how odd an image is


def suspicion(oddness: Tensor, neighbours: Neighbours, known: Tensor) -> Tensor:
    """How odd B images are in the measure of their neighbours, (B,); 1 for the usual one.

    `oddness` (B,) and that `known` (N,) of the references are scores of plain maps. The measure is
    the weighted median of the neighbours' oddness, so that a rare product is judged by its own
    images and a few defective ones among these do not count.
    """
    return oddness / neighbours.median(known).clamp_min(1e-6)


def most_suspicious(suspicion: Tensor, pictures: Tensor) -> tuple[int, ...]:
    """The pictures (n,), the most suspicious first, by the suspicion (N,) of the worst tile."""
    order = highest_of(suspicion, pictures).argsort(descending=True, stable=True)
    return tuple(pictures.unique()[order].tolist())
