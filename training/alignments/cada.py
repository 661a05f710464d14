"""Class-agnostic distribution alignment by neighbourhoods: CADA's idea with a reference memory.

Guo et al., arXiv 2404.00724, align the anomaly map of an image by the score distribution of the
normal images of its class, which a regression head predicts from the image (see `cada_paper`).
Here the prediction is the statistics of the k reference images whose embeddings are nearest:
an implicit class finer than a product, which also tells where on the product scores are high.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.alignments.alignment import (
    Aligned,
    Alignment,
    References,
    image_score,
    normalised,
)
from training.alignments.neighbours import nearest, nearest_others

NEIGHBOURS = 20
POOLED_SCALE = 0.2  # weight of the scale common to all in an image's scale: k values are few
SHARED_LOCATION = 0.25  # weight of the map's mean in a pixel's location: poses differ
SHARED_SCALE = 0.6  # weight of the map's mean deviation in a pixel's scale
BY_PLACE = 0.8  # weight of the opinion by place
THINNING = 2  # pixels of a map to one of the stored ones, along each side: maps are smooth
AT_A_TIME = 64  # images whose neighbours' maps are in memory together


class CadaScalar(Alignment):
    """Location and scale of the neighbours' raw image scores, one pair an image."""

    embeddings: Tensor
    scores: Tensor
    common: Tensor

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.k = min(NEIGHBOURS, len(references.embeddings) - 1)
        scores = image_score(references.maps.float(), references.score_share)
        self.register_buffer("embeddings", references.embeddings)  # (N, E)
        self.register_buffer("scores", scores)  # (N,)
        others = nearest_others(references.embeddings, self.k)
        self.register_buffer("common", scores[others].std(1).mean())

    def forward(self, maps: Tensor, embeddings: Tensor) -> Aligned:
        """A z-score against the neighbours."""
        return normalised(maps, *self.statistics(nearest(embeddings, self.embeddings, self.k)))

    def statistics(self, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Location and scale (B,) of the scores of neighbours (B, k)."""
        return location_and_scale(self.scores[neighbours], self.common)


class Cada(Alignment):
    """The weighted mean of two opinions on every pixel, each a z-score: the default.

    One is `CadaScalar`. The other first normalises each pixel by its location and scale in the
    neighbours' maps, which knows where on the product high scores are normal, and then the
    result by the neighbours' own results. Alone it suffers where poses differ; the scalar
    opinion does not.
    """

    maps: Tensor
    scores: Tensor
    common: Tensor

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.scalar = CadaScalar(references)
        maps = references.maps.float()
        thin = F.avg_pool2d(maps.unsqueeze(1), THINNING).squeeze(1)
        self.register_buffer("maps", thin.half())  # (N, h', w')
        others = nearest_others(references.embeddings, self.scalar.k)
        scores = [
            image_score(self._by_place(maps[rows], others[rows]), references.score_share)
            for rows in torch.arange(len(others)).split(AT_A_TIME)
        ]
        self.register_buffer("scores", torch.cat(scores))  # (N,)
        self.register_buffer("common", self.scores[others].std(1).mean())

    def forward(self, maps: Tensor, embeddings: Tensor) -> Aligned:
        """Align by place and by image, and average."""
        neighbours = nearest(embeddings, self.scalar.embeddings, self.scalar.k)
        by_image = normalised(maps, *self.scalar.statistics(neighbours))
        statistics = location_and_scale(self.scores[neighbours], self.common)
        by_place = normalised(self._by_place(maps, neighbours), *statistics)
        maps = torch.lerp(by_image.maps, by_place.maps, BY_PLACE)
        return Aligned(maps, by_image.location, by_image.scale)

    def _by_place(self, maps: Tensor, neighbours: Tensor) -> Tensor:
        """Maps (B, h, w), each pixel by its own location and scale in the neighbours' maps."""
        normal = self.maps[neighbours].float()  # (B, k, h', w')
        statistics = torch.stack([normal.mean(1), normal.std(1)], dim=1)  # (B, 2, h', w')
        shared = statistics.mean((2, 3), keepdim=True)
        weight = torch.tensor([SHARED_LOCATION, SHARED_SCALE], device=maps.device).view(1, 2, 1, 1)
        statistics = torch.lerp(statistics, shared, weight)
        statistics = F.interpolate(statistics, maps.shape[-2:], mode="bilinear")
        location, scale = statistics.unbind(1)  # (B, h, w)
        return (maps - location) / scale


def location_and_scale(values: Tensor, common: Tensor) -> tuple[Tensor, Tensor]:
    """Location and scale (B,) of the values (B, k) of neighbours.

    The highest tenth is pulled down to the next value first: an odd reference, or one whose own
    memories were left out, must not make room for defects. The scale is shrunk to `common`.
    """
    odd = values.shape[1] // 10
    cap = values.topk(odd + 1, dim=1).values[:, -1:]
    values = torch.minimum(values, cap)
    return values.mean(1), torch.lerp(values.std(1), common, POOLED_SCALE)
