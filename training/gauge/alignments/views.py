"""Two views of an image against its neighbours: its map as it is, and place by place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.library.views import (
    FLOOR,
    LEAST_LEFT,
    PLACE_LOCATION,
    PLACE_SCALE,
    STORED_SIDE,
)
from onegauge.training.backbones.retrieval import Neighbours
from onegauge.training.gauge.alignments.alignment import AT_A_TIME, References, Shown


class TwoViews(nn.Module):
    """The mean of the raw map and the raw map place by place, each in the unit of its own spread.

    Place by place an image is known to be high where its like always are, such as at an edge; as
    it is, the map does not suffer where poses differ.
    """

    units: Tensor
    scores: Tensor

    def __init__(self, references: References) -> None:
        super().__init__()
        self.by_place = ByPlace(thinned(references.maps.float()))
        self.register_buffer("units", torch.ones(2))
        views = self._views_of(Shown(references.maps, references.look))  # (2, N, h, w)
        found = torch.stack([references.scoring(view).std() for view in views])
        self.units = found.clamp_min(1e-6)
        # (N,) of the references: what is normal in this unit
        self.register_buffer("scores", references.scoring(self._joined(views)))

    def forward(self, maps: Tensor, neighbours: Neighbours) -> Tensor:
        """The views of raw maps (B, h, w) joined to one, (B, h, w)."""
        return self._joined(self._views(maps, neighbours))

    def _views(self, maps: Tensor, neighbours: Neighbours) -> Tensor:
        return torch.stack([maps, self.by_place(maps, neighbours)])

    def _joined(self, views: Tensor) -> Tensor:
        return (views / self.units.view(-1, 1, 1, 1)).mean(0)

    def joined_of(self, known: Shown) -> Tensor:
        """The same of many images, (N, h, w)."""
        return self._joined(self._views_of(known))

    @torch.no_grad()
    def _views_of(self, known: Shown) -> Tensor:
        rows = torch.arange(len(known.maps)).split(AT_A_TIME)
        near = known.look.neighbours
        parts = [self._views(known.maps[some].float(), near.of(some)) for some in rows]
        return torch.cat(parts, dim=1)


class ByPlace(nn.Module):
    """Each pixel by its own location and scale in the neighbours' maps."""

    maps: Tensor
    floor: Tensor

    def __init__(self, maps: Tensor) -> None:
        """From the maps (N, h', w') of the references, as fine as the maps to come or coarser."""
        super().__init__()
        self.register_buffer("maps", maps.half())
        self.register_buffer("floor", (FLOOR * maps.std()).clamp_min(1e-6))

    def forward(self, maps: Tensor, neighbours: Neighbours) -> Tensor:
        """Maps (B, h, w) of images with such neighbours; (B, h, w).

        Location and scale are drawn to their means over the map.
        """
        normal = self.maps[neighbours.rows].float().flatten(2)  # (B, k, h'·w')
        statistics = torch.stack(moments(normal, neighbours.weights), dim=1)  # (B, 2, h'·w')
        statistics = statistics.unflatten(2, self.maps.shape[1:])
        shared = statistics.mean((2, 3), keepdim=True)
        weight = torch.tensor([PLACE_LOCATION, PLACE_SCALE], device=maps.device).view(1, 2, 1, 1)
        statistics = statistics + weight * (shared - statistics)
        if statistics.shape[-2:] != maps.shape[-2:]:
            statistics = F.interpolate(statistics, maps.shape[-2:], mode="bilinear")
        location, scale = statistics.unbind(1)  # (B, h, w)
        return (maps - location) / torch.maximum(scale, self.floor)


def thinned(maps: Tensor) -> Tensor:
    """Maps (N, h, w) in means of so many pixels that the rest is as fine as maps are stored."""
    return F.avg_pool2d(maps.unsqueeze(1), max(1, maps.shape[-1] // STORED_SIDE)).squeeze(1)


def moments(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (B, P) of the values (B, k, P) of neighbours with weights (B, k).

    Sums are products with the weights, which runtimes have in a tenth of the time.
    """
    mean = weights.unsqueeze(1) @ values  # (B, 1, P)
    return mean.squeeze(1), deviation(values, weights, mean)


def deviation(values: Tensor, weights: Tensor, around: Tensor) -> Tensor:
    """How far (B, P) the values (B, k, P) of neighbours with weights (B, k) are from (B, 1, P).

    It is that of the kind which the neighbours are drawn from, as a sample's is.
    """
    each = weights.unsqueeze(1)  # (B, 1, k)
    apart = values - around
    squares = each @ (apart * apart)
    left = (1 - each @ each.mT).clamp_min(LEAST_LEFT)
    return (squares / left).sqrt().squeeze(1)
