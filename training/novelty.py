"""Whether an image shows a product at all that training has seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.alignments.neighbours import distances
from training.calibration import conformal_threshold, highest_of
from training.embedding import Embedding

NEIGHBOURS = 5


class Novelty(nn.Module):
    """Mean distance to the nearest reference embeddings; an unknown product from 1.0 on."""

    bank: Tensor
    threshold: Tensor

    def __init__(
        self, references: Tensor, calibration: Tensor, rate: float, pictures: Tensor
    ) -> None:
        """From descriptors `means` of references (N, D) and of held-out normal images (n, D).

        `pictures` (n,) are those that the held-out images are tiles of: the highest counts.

        `rate` of normal images may be called unknown, or 1/(n + 1) where n is too small. So few
        images seldom show the tail: where a log-normal fit to their distances reaches further than
        the conformal threshold, it holds. A defect moves an image a little, another product far.
        """
        super().__init__()
        self.k = min(NEIGHBOURS, len(references))
        self.embedding = Embedding(references)
        self.register_buffer("bank", self.embedding(references))  # (N, E)
        self.register_buffer("threshold", torch.ones(()))
        self.calibrate(self(calibration), rate, pictures)

    def calibrate(self, distances: Tensor, rate: float, pictures: Tensor) -> None:
        """Set the threshold by the distances (n,) of held-out images, found while it is 1."""
        held_out = highest_of(distances, pictures)
        fitted = float(_log_normal_quantile(held_out, 1 - rate))
        self.threshold.fill_(max(conformal_threshold(held_out, rate), fitted))

    def forward(self, means: Tensor) -> Tensor:
        """Novelty (B,) of descriptors (B, D)."""
        near = distances(self.embedding(means), self.bank).topk(self.k, dim=1, largest=False).values
        return near.mean(1) / self.threshold


def _log_normal_quantile(distances: Tensor, share: float) -> Tensor:
    """The distance that `share` of images keep within, were their logarithms normal."""
    logs = distances.clamp_min(1e-6).log()
    return (logs.mean() + torch.special.ndtri(torch.tensor(share)) * logs.std()).exp()
