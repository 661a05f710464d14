"""Whether an image shows a product at all that training has seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onegauge.library import novelty
from onegauge.training.backbones.neighbours import comparable
from onegauge.training.backbones.retrieval import within
from onegauge.training.gauge.calibration import highest_of


class Novelty(nn.Module):
    """How far the quarters of an image are from its neighbours', in the measure of their own.

    The mean distance to those that are nearest, over their own such distances to others, as in the
    local outlier factor (Breunig et al., 2000): a product whose images differ widely hides no other
    one. An unknown product from 1.0 on. That of the quarter where it is least: another product is
    unlike in all of them, a defect in one or two.
    """

    mean: Tensor
    projection: Tensor
    bank: Tensor
    usual: Tensor
    groups: Tensor
    threshold: Tensor

    def __init__(self, references: Tensor, groups: Tensor, rows: Tensor) -> None:
        """From `quarters` (N, 4, D) of references of groups (N,), and their neighbours (N, k)."""
        super().__init__()
        self.nearest = comparable(groups, novelty.NEAREST)
        found = novelty.Novelty.of(references.numpy(), groups.numpy(), rows.numpy())
        for name, part in found._asdict().items():
            self.register_buffer(name, torch.from_numpy(part))
        self.register_buffer("threshold", torch.ones(()))

    def calibrate(self, distances: Tensor, rate: float, pictures: Tensor) -> None:
        """Set the threshold by the distances (n,) of held-out images, found while it is 1.

        `pictures` (n,) are those that the images are tiles of: the highest counts. `rate` of normal
        images may be called unknown, or 1/(n + 1) where n is too small.
        """
        held_out = highest_of(distances, pictures)
        self.threshold.fill_(novelty.threshold(held_out.numpy(), rate))

    def forward(self, quarters: Tensor, rows: Tensor, own: Tensor) -> Tensor:
        """Novelty (B,) of descriptors (B, 4, D) beside their neighbours (B, k).

        But for those of the groups `own` (B, 2), which fewer others than k leave among them.
        """
        asked = (quarters - self.mean).unsqueeze(2) @ self.projection  # (B, 4, 1, E)
        away = asked.squeeze(2).unsqueeze(1) - self.bank[rows]  # (B, k, 4, E)
        apart = (away * away).sum(3).sqrt()  # (B, k, 4)
        apart = apart.masked_fill(within(self.groups[rows], own).unsqueeze(2), torch.inf)
        near = apart.topk(self.nearest, 1, largest=False)
        usual = self.usual[rows].gather(1, near.indices)  # (B, n, 4)
        return (near.values.mean(1) / usual.mean(1)).amin(1) / self.threshold
