"""Class-agnostic distribution alignment by neighbourhoods: CADA's idea with a reference memory.

Guo et al., arXiv 2404.00724, align the anomaly map of an image by the score distribution of the
normal images of its class, which a regression head predicts from the image (see `cada_paper`).
Here the prediction is the statistics of the k reference images whose embeddings are nearest:
an implicit class finer than a product, which also tells where on the product scores are high.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    image_score,
    normalised,
)
from training.alignments.neighbours import nearest, nearest_others

NEIGHBOURS = 20
POOLED_SCALE = 0.2  # weight of the scale common to all in an image's scale: k values are few
SHARED_LOCATION = 0.25  # weight of the map's mean in a pixel's location: poses differ
SHARED_SCALE = 0.6  # weight of the map's mean deviation in a pixel's scale
THINNING = 2  # pixels of a map to one of the stored ones, along each side: maps are smooth
LOOKALIKES = 10  # neighbours whose places are compared
WITNESSES = 3  # of them that decide how far a place is from what it should be
AT_A_TIME = 64  # images whose neighbours' maps are in memory together


class Views(Alignment):
    """One or more views of an image, averaged, then a z-score against the image's neighbours.

    A view is a module that turns raw maps (B, h, w), places (B, Q, g, g) and the indices (B, k)
    of the neighbours into maps (B, h, w) in a unit of its own.
    """

    embeddings: Tensor
    units: Tensor

    def __init__(self, references: References, views: Sequence[nn.Module]) -> None:
        super().__init__(references)
        self.views = nn.ModuleList(views)
        self.k = min(NEIGHBOURS, len(references.maps) - 1)
        embeddings, share = references.look.embedding, references.score_share
        self.register_buffer("embeddings", embeddings)  # (N, E)
        others = nearest_others(embeddings, self.k)  # (N, k)
        seen = self._references_in_views(references, others)  # (V, N, h, w)
        units = torch.stack([image_score(maps, share).std() for maps in seen])
        self.register_buffer("units", units.clamp_min(1e-6).view(-1, 1, 1, 1))
        self.raw = Statistics(image_score(references.maps.float(), share), others)
        self.joined = Statistics(image_score((seen / self.units).mean(0), share), others)

    @torch.no_grad()
    def _references_in_views(self, references: References, others: Tensor) -> Tensor:
        parts = (references.maps, references.look.places, others)
        batches = zip(*(part.split(AT_A_TIME) for part in parts), strict=True)
        seen = [
            self._in_views(maps.float(), places.float(), rows) for maps, places, rows in batches
        ]
        return torch.cat(seen, dim=1)

    def _in_views(self, maps: Tensor, places: Tensor, neighbours: Tensor) -> Tensor:
        return torch.stack([view(maps, places, neighbours) for view in self.views])

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align the mean of the views; location and scale told are those of the raw maps."""
        neighbours = nearest(look.embedding, self.embeddings, self.k)
        joined = (self._in_views(maps, look.places, neighbours) / self.units).mean(0)
        aligned = normalised(joined, *self.joined(neighbours))
        return Aligned(aligned.maps, *self.raw(neighbours))


class CadaScalar(Views):
    """Location and scale of the neighbours' raw image scores, one pair an image."""

    def __init__(self, references: References) -> None:
        super().__init__(references, [AsDetected()])


class Cada(Views):
    """The raw map, the map by place, and the look by place: the default.

    The second and third know where on the product a high score is normal, and suffer where poses
    differ; the first does not.
    """

    def __init__(self, references: References) -> None:
        views = [AsDetected(), ByMap(references.maps), ByLook(references.look.places)]
        super().__init__(references, views)


class AsDetected(nn.Module):
    """The raw map."""

    def forward(self, maps: Tensor, places: Tensor, neighbours: Tensor) -> Tensor:  # noqa: ARG002
        """The maps as they are."""
        return maps


class ByMap(nn.Module):
    """Each pixel by its own location and scale in the neighbours' maps."""

    maps: Tensor

    def __init__(self, maps: Tensor) -> None:
        """From the maps (N, h, w) of the references."""
        super().__init__()
        thin = F.avg_pool2d(maps.float().unsqueeze(1), THINNING).squeeze(1)
        self.register_buffer("maps", thin.half())  # (N, h', w')

    def forward(self, maps: Tensor, places: Tensor, neighbours: Tensor) -> Tensor:  # noqa: ARG002
        """Location and scale are drawn to their means over the map."""
        normal = self.maps[neighbours].float()  # (B, k, h', w')
        statistics = torch.stack([normal.mean(1), normal.std(1)], dim=1)  # (B, 2, h', w')
        shared = statistics.mean((2, 3), keepdim=True)
        weight = torch.tensor([SHARED_LOCATION, SHARED_SCALE], device=maps.device).view(1, 2, 1, 1)
        statistics = torch.lerp(statistics, shared, weight)
        statistics = F.interpolate(statistics, maps.shape[-2:], mode="bilinear")
        location, scale = statistics.unbind(1)  # (B, h, w)
        return (maps - location) / scale


class ByLook(nn.Module):
    """How far each place is from the same place, or one beside it, of the nearest neighbours.

    What the neighbours say of an image's features instead of its map, after the gallery of
    Cohen and Hoshen, "Sub-Image Anomaly Detection with Deep Pyramid Correspondences" (2020).
    """

    places: Tensor

    def __init__(self, places: Tensor) -> None:
        """From the places int8 (N, Q, g, g) of the references."""
        super().__init__()
        self.register_buffer("places", places)

    def forward(self, maps: Tensor, places: Tensor, neighbours: Tensor) -> Tensor:
        """Mean distance to the few neighbours that come nearest, enlarged to the map's size."""
        neighbours = neighbours[:, :LOOKALIKES]
        others = self.places[neighbours].float()  # (B, n, Q, g, g)
        shape, side = others.shape[1:3], others.shape[-1]
        others = F.pad(others.flatten(1, 2), (1,) * 4, mode="replicate").unflatten(1, shape)
        here = places.unsqueeze(1)  # (B, 1, Q, g, g)
        apart = [
            (others[..., y : y + side, x : x + side] - here).square().sum(2)
            for y in range(3)
            for x in range(3)
        ]
        least = torch.stack(apart).amin(0)  # (B, n, g, g)
        few = least.topk(min(WITNESSES, shape[0]), dim=1, largest=False).values
        distance = few.sqrt().mean(1, keepdim=True)  # (B, 1, g, g)
        return F.interpolate(distance, maps.shape[-2:], mode="bilinear").squeeze(1)


class Statistics(nn.Module):
    """Location and scale that an image's score should have, from those of its neighbours."""

    scores: Tensor
    common: Tensor

    def __init__(self, scores: Tensor, others: Tensor) -> None:
        """From the scores (N,) of the references and the indices (N, k) of their neighbours."""
        super().__init__()
        self.register_buffer("scores", scores)
        self.register_buffer("common", scores[others].std(1).mean())

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
    return values.mean(1), torch.lerp(values.std(1), common, POOLED_SCALE)
