"""Whether an image shows a product at all that training has seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.alignments.neighbours import distances
from training.calibration import conformal_threshold

NEIGHBOURS = 5


class Novelty(nn.Module):
    """Mean distance to the nearest reference embeddings; an unknown product from 1.0 on."""

    bank: Tensor
    threshold: Tensor

    def __init__(self, references: Tensor, calibration: Tensor, rate: float) -> None:
        """From embeddings of references (N, E) and of held-out normal images (n, E).

        `rate` of normal images may be called unknown, or 1/(n + 1) where n is too small.
        """
        super().__init__()
        self.k = min(NEIGHBOURS, len(references))
        self.register_buffer("bank", references)
        self.register_buffer("threshold", torch.ones(()))
        self.threshold.fill_(conformal_threshold(self(calibration), rate))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Novelty (B,) of embeddings (B, E)."""
        near = distances(embeddings, self.bank).topk(self.k, dim=1, largest=False).values
        return near.mean(1) / self.threshold
