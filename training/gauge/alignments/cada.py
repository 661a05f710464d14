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
    normalised,
)
from onegauge.training.gauge.alignments.views import TwoViews, moments


class Cada(Alignment):
    """The joined views of an image as a z-score against its neighbours: the default."""

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.views = TwoViews(references)
        near = references.look.neighbours
        self.raw = Statistics(references.scoring(references.maps.float()), near)
        self.joined = Statistics(self.views.scores, near)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align the joined views; location and scale told are those of the raw maps."""
        joined = self.views(maps, look.neighbours)
        aligned = normalised(joined, *self.joined(look.neighbours))
        return Aligned(aligned.maps, *self.raw(look.neighbours))


class CadaScalar(Alignment):
    """Location and scale of the neighbours' raw image scores, one pair an image."""

    def __init__(self, references: References) -> None:
        super().__init__(references)
        scores = references.scoring(references.maps.float())
        self.raw = Statistics(scores, references.look.neighbours)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align the raw maps."""
        return normalised(maps, *self.raw(look.neighbours))


class Statistics(nn.Module):
    """Location and scale that an image's score should have, from those of its neighbours."""

    scores: Tensor
    common: Tensor

    def __init__(self, scores: Tensor, neighbours: Neighbours) -> None:
        """From the scores (N,) of the references and the neighbours of each."""
        super().__init__()
        self.register_buffer("scores", scores)
        _, scale = _of_kind(scores[neighbours.rows], neighbours.weights)
        common = torch.stack([scores.mean(), scale.mean().clamp_min(1e-6)])
        self.register_buffer("common", common)  # (2,) location and scale

    def forward(self, neighbours: Neighbours) -> tuple[Tensor, Tensor]:
        """Location and scale (B,) for images with such neighbours, drawn to the common ones."""
        location, scale = _of_kind(self.scores[neighbours.rows], neighbours.weights)
        location = location + SHARED_LOCATION * (self.common[0] - location)
        return location, scale + SHARED_SCALE * (self.common[1] - scale)


def _of_kind(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Location and scale (B,) of the values (B, k) of neighbours.

    The highest tenth is pulled down to the next value first: an odd reference must not make room
    for defects.
    """
    odd = values.shape[1] // 10
    cap = values.topk(odd + 1, dim=1).values[:, -1:]
    location, scale = moments(torch.minimum(values, cap).unsqueeze(2), weights)
    return location.squeeze(1), scale.squeeze(1)
