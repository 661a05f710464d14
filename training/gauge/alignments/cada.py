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
    Scores,
    as_is,
    normalised,
)
from onegauge.training.gauge.alignments.views import TwoViews, deviation


class Cada(Alignment):
    """The joined views of an image as a z-score against its neighbours: the default."""

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.views = TwoViews(references)
        near = references.look.neighbours
        self.raw = Statistics(references.scored(as_is), near)
        self.joined = Statistics(references.scored(self.views), near)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align the joined views; location and scale told are those of the raw maps."""
        joined = self.views(maps, look.neighbours)
        aligned = normalised(joined, *self.joined(look.neighbours))
        return Aligned(aligned.maps, *self.raw(look.neighbours))


class CadaScalar(Alignment):
    """Location and scale of the neighbours' raw image scores, one pair an image."""

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.raw = Statistics(references.scored(as_is), references.look.neighbours)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align the raw maps."""
        return normalised(maps, *self.raw(look.neighbours))


class Statistics(nn.Module):
    """Location and scale that an image's score should have, from those of its neighbours.

    The scale is how far those of the next lot will lie from what is usual: a sequence changes, and
    its threshold should not be that of all other products.
    """

    usual: Tensor
    apart: Tensor
    common: Tensor

    def __init__(self, scores: Scores, neighbours: Neighbours) -> None:
        """From the scores of the references and the neighbours of each."""
        super().__init__()
        self.register_buffer("usual", scores.usual)  # (N,)
        self.register_buffer("apart", scores.apart.clone())  # (N,) a constant of its own
        _, scale = self._of_kind(neighbours)
        common = torch.stack([scores.usual.mean(), scale.mean().clamp_min(1e-6)])
        self.register_buffer("common", common)  # (2,) location and scale

    def forward(self, neighbours: Neighbours) -> tuple[Tensor, Tensor]:
        """Location and scale (B,) for images with such neighbours, drawn to the common ones."""
        location, scale = self._of_kind(neighbours)
        location = location + SHARED_LOCATION * (self.common[0] - location)
        return location, scale + SHARED_SCALE * (self.common[1] - scale)

    def _of_kind(self, neighbours: Neighbours) -> tuple[Tensor, Tensor]:
        """Location and scale (B,) of the neighbours alone."""
        rows, weights = neighbours
        location = (weights * _capped(self.usual[rows])).sum(1, keepdim=True)  # (B, 1)
        scale = deviation(_capped(self.apart[rows]).unsqueeze(2), weights, location)
        return location.squeeze(1), scale.squeeze(1)


def _capped(values: Tensor) -> Tensor:
    """Values (B, k) of neighbours, the highest tenth of each image's pulled down to the next.

    An odd reference must not make room for defects.
    """
    odd = values.shape[1] // 10
    return torch.minimum(values, values.topk(odd + 1, dim=1).values[:, -1:])
