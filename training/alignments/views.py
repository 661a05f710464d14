"""Views of an image against its neighbours, the normal images that look most like it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.alignments.alignment import References

SHARED_LOCATION = 0.25  # weight of the map's mean in a place's location: poses differ
SHARED_SCALE = 0.6  # weight of the map's mean deviation in a place's scale
FLOOR = 0.01  # of the deviation of all maps, that no place's scale is under: images may be copies
THINNING = 2  # pixels of a map to one of the stored ones, along each side: maps are smooth
LOOKALIKES = 10  # neighbours among which each place looks for its like
AT_A_TIME = 64  # images whose neighbours' places are in memory together


class AsDetected(nn.Module):
    """The raw map alone."""

    def __init__(self, references: References, others: Tensor) -> None:  # noqa: ARG002
        super().__init__()

    def forward(self, maps: Tensor, places: Tensor, neighbours: Tensor) -> Tensor:  # noqa: ARG002
        """The maps (B, h, w) as they are, (1, B, h, w)."""
        return maps.unsqueeze(0)


class FourViews(nn.Module):
    """The raw map and the unlikeness map, each as it is and place by place.

    Place by place an image is known to be high where its like always are, such as at an edge; as
    they are, the maps do not suffer where poses differ.
    """

    def __init__(self, references: References, others: Tensor) -> None:
        """From N references and the indices (N, k) of the neighbours of each."""
        super().__init__()
        thin = F.avg_pool2d(references.maps.float().unsqueeze(1), THINNING).squeeze(1)
        self.map_by_place = ByPlace(thin)
        places = references.look.places
        self.unlikeness = Unlikeness(places)
        batches = zip(places.split(AT_A_TIME), others.split(AT_A_TIME), strict=True)
        unlike = torch.cat([self.unlikeness(part.float(), rows) for part, rows in batches])
        self.unlikeness_by_place = ByPlace(unlike)

    def forward(self, maps: Tensor, places: Tensor, neighbours: Tensor) -> Tensor:
        """The views of raw maps (B, h, w), enlarged to their size: (4, B, h, w)."""
        unlike = self.unlikeness(places, neighbours)  # (B, g, g)
        by_place = self.unlikeness_by_place(unlike, neighbours)
        coarse = torch.stack([unlike, by_place], dim=1)  # (B, 2, g, g)
        fine = F.interpolate(coarse, maps.shape[-2:], mode="bilinear")
        return torch.stack([maps, self.map_by_place(maps, neighbours), *fine.unbind(1)])


class ByPlace(nn.Module):
    """Each pixel by its own location and scale in the neighbours' maps."""

    maps: Tensor
    floor: Tensor

    def __init__(self, maps: Tensor) -> None:
        """From the maps (N, h', w') of the references, as fine as the maps to come or coarser."""
        super().__init__()
        self.register_buffer("maps", maps.half())
        self.register_buffer("floor", (FLOOR * maps.std()).clamp_min(1e-6))

    def forward(self, maps: Tensor, neighbours: Tensor) -> Tensor:
        """Maps (B, h, w) of images with neighbours (B, k); (B, h, w).

        Location and scale are drawn to their means over the map.
        """
        normal = self.maps[neighbours].float()  # (B, k, h', w')
        statistics = torch.stack([normal.mean(1), normal.std(1)], dim=1)  # (B, 2, h', w')
        shared = statistics.mean((2, 3), keepdim=True)
        weight = torch.tensor([SHARED_LOCATION, SHARED_SCALE], device=maps.device).view(1, 2, 1, 1)
        statistics = torch.lerp(statistics, shared, weight)
        if statistics.shape[-2:] != maps.shape[-2:]:
            statistics = F.interpolate(statistics, maps.shape[-2:], mode="bilinear")
        location, scale = statistics.unbind(1)  # (B, h, w)
        return (maps - location) / torch.maximum(scale, self.floor)


class Unlikeness(nn.Module):
    """How far each place is from the same place, or one beside it, of the neighbour most like it.

    What the neighbours say of an image's features instead of its map, after the gallery of
    Cohen and Hoshen, "Sub-Image Anomaly Detection with Deep Pyramid Correspondences" (2020).
    """

    places: Tensor

    def __init__(self, places: Tensor) -> None:
        """From the places int8 (N, Q, g, g) of the references."""
        super().__init__()
        self.register_buffer("places", places)

    def forward(self, places: Tensor, neighbours: Tensor) -> Tensor:
        """Distances (B, g, g) of places (B, Q, g, g) of images with neighbours (B, k)."""
        others = self.places[neighbours[:, :LOOKALIKES]].float()  # (B, n, Q, g, g)
        shape, side = others.shape[1:3], others.shape[-1]
        others = F.pad(others.flatten(1, 2), (1,) * 4, mode="replicate").unflatten(1, shape)
        here = places.unsqueeze(1)  # (B, 1, Q, g, g)
        apart = [
            (others[..., y : y + side, x : x + side] - here).square().sum(2)
            for y in range(3)
            for x in range(3)
        ]
        return torch.stack(apart).amin((0, 2)).sqrt()
