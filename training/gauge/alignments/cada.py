"""Class-agnostic distribution alignment by neighbourhoods: CADA's idea with a reference memory.

Guo et al., arXiv 2404.00724, align the anomaly map of an image by the score distribution of the
normal images of its class, which a regression head predicts from the image (see `cada_paper`).
Here the prediction is the statistics of the references that look most like it: an implicit class
finer than a product, which also tells where on the product scores are high.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onegauge.library.views import SHARED_LOCATION, SHARED_SCALE
from onegauge.training.backbones.retrieval import Neighbours
from onegauge.training.gauge.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    Shown,
    normalised,
)
from onegauge.training.gauge.alignments.views import TwoViews, deviation


class Cada(Alignment):
    """The joined views of an image as a z-score against its neighbours: the default."""

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.views = TwoViews(references)
        self.raw = _of_raw(references)
        apart = references.scoring(self.views.joined_of(_apart(references)))
        self.joined = Statistics(self.views.scores, apart, references.look.neighbours)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align the joined views; location and scale told are those of the raw maps."""
        joined = self.views(maps, look.neighbours)
        aligned = normalised(joined, *self.joined(look.neighbours))
        return Aligned(aligned.maps, *self.raw(look.neighbours))


class CadaScalar(Alignment):
    """Location and scale of the neighbours' raw image scores, one pair an image."""

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.raw = _of_raw(references)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align the raw maps."""
        return normalised(maps, *self.raw(look.neighbours))


class Statistics(nn.Module):
    """Location and scale that an image's score should have, from those of its neighbours.

    A scale of few scores is vague, so that it is the mean of what each neighbour has of its own
    neighbours. It is that of scores which set the threshold: a kind that varies more where parts
    are kept apart would else have the highest of them.
    """

    scores: Tensor
    spreads: Tensor
    common: Tensor

    def __init__(self, scores: Tensor, apart: Tensor, neighbours: Neighbours) -> None:
        """From scores (N,) of the references, those as they set the threshold, and neighbours."""
        super().__init__()
        rows, weights = neighbours
        around = _location(scores[rows], weights)
        spreads = deviation(capped(apart[rows]).unsqueeze(2), weights, around.view(-1, 1, 1))
        self.register_buffer("scores", scores)
        self.register_buffer("spreads", spreads.squeeze(1))
        common = torch.stack([scores.mean(), spreads.mean().clamp_min(1e-6)])
        self.register_buffer("common", common)  # (2,) location and scale

    def forward(self, neighbours: Neighbours) -> tuple[Tensor, Tensor]:
        """Location and scale (B,) for images with such neighbours, drawn to the common ones."""
        rows, weights = neighbours
        location = _location(self.scores[rows], weights)
        location = location + SHARED_LOCATION * (self.common[0] - location)
        scale = (weights * self.spreads[rows]).sum(1)
        return location, scale + SHARED_SCALE * (self.common[1] - scale)


def capped(values: Tensor) -> Tensor:
    """The values (B, k) of neighbours, the highest tenth pulled down to the next value.

    An odd reference must not make room for defects.
    """
    odd = values.shape[1] // 10
    return torch.minimum(values, values.topk(odd + 1, dim=1).values[:, -1:])


def _location(values: Tensor, weights: Tensor) -> Tensor:
    return (weights * capped(values)).sum(1)


def _apart(references: References) -> Shown:
    return references.apart or Shown(references.maps, references.look)


def _of_raw(references: References) -> Statistics:
    scores, apart = (
        references.scoring(maps.float()) for maps in (references.maps, _apart(references).maps)
    )
    return Statistics(scores, apart, references.look.neighbours)
