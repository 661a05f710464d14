"""Class-agnostic distribution alignment by neighbourhoods: CADA's idea with a reference memory.

Guo et al., arXiv 2404.00724, align the anomaly map of an image by the score distribution of the
normal images of its class, which a regression head predicts from the image (see `cada_paper`).
Here the prediction is the statistics of the k reference images whose embeddings are nearest:
an implicit class finer than a product, which also tells where on the product scores are high.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from onegauge.training.backbones.neighbours import comparable, nearest, nearest_others
from onegauge.training.gauge.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    normalised,
)
from onegauge.training.gauge.alignments.views import AsDetected, ThreeViews

NEIGHBOURS = 20
POOLED_SCALE = 0.2  # weight of the scale common to all in an image's scale: k values are few
AT_A_TIME = 64  # images whose neighbours' maps are in memory together

Viewing = Callable[[References], nn.Module]


class Neighbourhood(Alignment):
    """The mean of one or more views of an image as a z-score against the image's neighbours.

    `views` turns raw maps (B, h, w), places (B, Q, g, g) and the indices (B, k) of the neighbours
    into V maps, each in a unit of its own: (V, B, h, w).
    """

    embeddings: Tensor
    units: Tensor

    def __init__(self, references: References, viewing: Viewing) -> None:
        super().__init__(references)
        self.k = comparable(references.groups, NEIGHBOURS)
        embeddings, scoring = references.look.embedding, references.scoring
        self.register_buffer("embeddings", embeddings)  # (N, E)
        self.views = viewing(references)
        others = nearest_others(embeddings, self.k, references.groups)  # (N, k)
        seen = self._references_in_views(references, others)  # (V, N, h, w)
        units = torch.stack([scoring(maps).std() for maps in seen])
        self.register_buffer("units", units.clamp_min(1e-6).view(-1, 1, 1, 1))
        self.raw = Statistics(scoring(references.maps.float()), others)
        self.joined = Statistics(scoring((seen / self.units).mean(0)), others)

    @torch.no_grad()
    def _references_in_views(self, references: References, others: Tensor) -> Tensor:
        parts = (references.maps, references.look.places, others)
        batches = zip(*(part.split(AT_A_TIME) for part in parts), strict=True)
        seen = [self.views(maps.float(), places.float(), rows) for maps, places, rows in batches]
        return torch.cat(seen, dim=1)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align the mean of the views; location and scale told are those of the raw maps."""
        neighbours = nearest(look.embedding, self.embeddings, self.k)
        joined = (self.views(maps, look.places, neighbours) / self.units).mean(0)
        aligned = normalised(joined, *self.joined(neighbours))
        return Aligned(aligned.maps, *self.raw(neighbours))


class Cada(Neighbourhood):
    """The raw map, the raw map place by place, and unlikeness: the default."""

    def __init__(self, references: References) -> None:
        super().__init__(references, ThreeViews)


class CadaScalar(Neighbourhood):
    """Location and scale of the neighbours' raw image scores, one pair an image."""

    def __init__(self, references: References) -> None:
        super().__init__(references, AsDetected)


class Statistics(nn.Module):
    """Location and scale that an image's score should have, from those of its neighbours."""

    scores: Tensor
    common: Tensor

    def __init__(self, scores: Tensor, others: Tensor) -> None:
        """From the scores (N,) of the references and the indices (N, k) of their neighbours."""
        super().__init__()
        self.register_buffer("scores", scores)
        self.register_buffer("common", scores[others].std(1).mean().clamp_min(1e-6))

    def forward(self, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Location and scale (B,) for images with neighbours (B, k)."""
        return location_and_scale(self.scores[neighbours], self.common)


def location_and_scale(values: Tensor, common: Tensor) -> tuple[Tensor, Tensor]:
    """Location and scale (B,) of the values (B, k) of neighbours.

    The highest tenth is pulled down to the next value first: an odd reference, or one whose own
    memories were left out, must not make room for defects. The scale is shrunk to `common`.
    """
    odd = values.shape[1] // 10
    cap = values.topk(odd + 1, dim=1).values[:, -1:]
    values = torch.minimum(values, cap)
    scale = values.std(1)
    return values.mean(1), scale + POOLED_SCALE * (common - scale)
