"""Views of an image against its neighbours, the normal images that look most like it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.gauge.alignments.alignment import References

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
        statistics = statistics + weight * (shared - statistics)
        statistics = F.interpolate(statistics, maps.shape[-2:], mode="bilinear")
        location, scale = statistics.unbind(1)  # (B, h, w)
        return (maps - location) / torch.maximum(scale, self.floor)


class Unlikeness(nn.Module):
    """How far each place is from the same place, or one beside it, of the neighbour most like it.

    What the neighbours say of an image's features instead of its map, after the gallery of
    Cohen and Hoshen, "Sub-Image Anomaly Detection with Deep Pyramid Correspondences" (2020).
    """

    places: Tensor
    beside: Tensor
    back: Tensor

    def __init__(self, places: Tensor) -> None:
        """From the places int8 (N, Q, g, g) of the references."""
        super().__init__()
        beside, back = _beside(places.shape[-1])
        self.register_buffer("places", places.flatten(2).mT.contiguous())  # (N, g², Q)
        self.register_buffer("beside", beside)
        self.register_buffer("back", back)

    def forward(self, places: Tensor, neighbours: Tensor) -> Tensor:
        """Distances (B, g, g) of places (B, Q, g, g) of images with neighbours (B, k).

        Squared, they are the norms less twice the products, which is one product of matrices for
        each place of the neighbours with the nine places of the image that it is compared with.
        """
        others = self.places[neighbours[:, :LOOKALIKES]].float().transpose(1, 2)  # (B, g², n, Q)
        here = places.flatten(2).mT  # (B, g², Q)
        around = here.index_select(1, self.beside).unflatten(1, (-1, 9))  # (B, g², 9, Q)
        apart = others.square().sum(3).unsqueeze(2) - 2 * around @ others.mT  # (B, g², 9, n)
        least = apart.amin(3).flatten(1).index_select(1, self.back).unflatten(1, (-1, 9)).amin(2)
        squared = least + here.square().sum(2)  # (B, g²)
        return squared.clamp_min(0).sqrt().view_as(places[:, 0])


def _beside(side: int) -> tuple[Tensor, Tensor]:
    """The nine places (9 g²,) at and beside each place of a grid, and where it is among theirs.

    Beyond the edge it is the place at the edge. The second, likewise, is an index into the first.
    """
    line = torch.arange(side)
    steps = (line[:, None] + torch.arange(-1, 2)).clamp(0, side - 1)  # (g, 3)
    y, x = steps[:, None, :, None], steps[None, :, None, :]
    beside = (side * y + x).flatten()
    down, right = line.view(-1, 1, 1, 1) - y + 1, line.view(1, -1, 1, 1) - x + 1
    return beside, 9 * beside + (3 * down + right).flatten()
