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


class AsDetected(nn.Module):
    """The raw map alone."""

    def __init__(self, references: References) -> None:  # noqa: ARG002  they are not needed
        super().__init__()

    def forward(self, maps: Tensor, places: Tensor, neighbours: Tensor) -> Tensor:  # noqa: ARG002
        """The maps (B, h, w) as they are, (1, B, h, w)."""
        return maps.unsqueeze(0)


class ThreeViews(nn.Module):
    """The raw map, the raw map place by place, and the unlikeness map.

    Place by place an image is known to be high where its like always are, such as at an edge; as
    it is, the map does not suffer where poses differ.
    """

    def __init__(self, references: References) -> None:
        super().__init__()
        thin = F.avg_pool2d(references.maps.float().unsqueeze(1), THINNING).squeeze(1)
        self.by_place = ByPlace(thin)
        self.unlikeness = Unlikeness(references.look.places)

    def forward(self, maps: Tensor, places: Tensor, neighbours: Tensor) -> Tensor:
        """The views of raw maps (B, h, w), enlarged to their size: (3, B, h, w)."""
        unlike = self.unlikeness(places, neighbours).unsqueeze(1)  # (B, 1, g, g)
        fine = F.interpolate(unlike, maps.shape[-2:], mode="bilinear").squeeze(1)
        return torch.stack([maps, self.by_place(maps, neighbours), fine])


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
