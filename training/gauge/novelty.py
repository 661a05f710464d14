"""Whether an image shows a product at all that training has seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onegauge.library import novelty
from onegauge.library.novelty import NEIGHBOURS
from onegauge.training.backbones.embedding import Embedding
from onegauge.training.backbones.neighbours import comparable, distances
from onegauge.training.backbones.retrieval import within
from onegauge.training.gauge.calibration import highest_of


class Novelty(nn.Module):
    """How much farther the nearest references are than they are from each other's, in each quarter.

    An unknown product from 1.0 on. That of the quarter where it is least counts: another product is
    unlike in all of them, a defect in one or two.
    """

    threshold: Tensor

    def __init__(self, references: Tensor, groups: Tensor) -> None:
        """From `quarters` (N, 4, D) of references, none compared with its own of `groups` (N,)."""
        super().__init__()
        self.quarters = nn.ModuleList(Neighbourhood(q, groups) for q in references.unbind(1))
        self.register_buffer("threshold", torch.ones(()))

    def calibrate(self, distances: Tensor, rate: float, pictures: Tensor) -> None:
        """Set the threshold by the distances (n,) of held-out images, found while it is 1.

        `pictures` (n,) are those that the images are tiles of: the highest counts. `rate` of normal
        images may be called unknown, or 1/(n + 1) where n is too small.
        """
        held_out = highest_of(distances, pictures)
        self.threshold.fill_(novelty.threshold(held_out.numpy(), rate))

    def forward(self, quarters: Tensor, own: Tensor) -> Tensor:
        """Novelty (B,) of descriptors (B, 4, D), beside references of none of the groups `own`."""
        apart = [far(q, own) for far, q in zip(self.quarters, quarters.unbind(1), strict=True)]
        return torch.stack(apart).amin(0) / self.threshold


class Neighbourhood(nn.Module):
    """Mean distance to the nearest references, in the measure of their own distances to others.

    As the local outlier factor (Breunig et al., 2000), so that a product whose images differ widely
    hides no other one.
    """

    bank: Tensor
    usual: Tensor
    groups: Tensor

    def __init__(self, references: Tensor, groups: Tensor) -> None:
        """From descriptors (N, D) of references, which are of groups (N,)."""
        super().__init__()
        self.register_buffer("groups", groups)
        self.k = comparable(groups, NEIGHBOURS)
        found = novelty.Neighbourhood.of(references.numpy(), groups.numpy())
        self.embedding = Embedding(references)
        self.register_buffer("bank", torch.from_numpy(found.bank))  # (N, E)
        self.register_buffer("usual", torch.from_numpy(found.usual))  # (N,)

    def forward(self, descriptors: Tensor, own: Tensor) -> Tensor:
        """The ratio (B,) of descriptors (B, D), as `Retrieval` takes the groups `own` (B, 2)."""
        apart = distances(self.embedding(descriptors), self.bank)
        apart = apart.masked_fill(within(self.groups, own), torch.inf)
        near = apart.topk(self.k, 1, largest=False)
        return near.values.mean(1) / self.usual[near.indices].mean(1)
