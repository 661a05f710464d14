"""Descriptors of a whole image and their embedding: what tells one implicit class from another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onegauge.library import likeness


def deviations(features: list[Tensor]) -> Tensor:
    """Descriptor (B, ΣC): each channel's deviation over the places of [(B, C, H, W), …].

    It tells best which normal images score alike; means beside it only blur that. By mean squares,
    a sixth of the time of `std`.
    """
    squares = torch.cat([(f * f).mean((2, 3)) for f in features], dim=1)
    means = torch.cat([f.mean((2, 3)) for f in features], dim=1)
    return (squares - means.square()).clamp_min(0).sqrt()


def quarters(features: list[Tensor]) -> Tensor:
    """Descriptors (B, 4, ΣC): each channel's mean over the quarters of [(B, C, H, W), …].

    A local defect moves them in one or two quarters, another product in all.
    """
    return torch.cat([_quarters(f) for f in features], dim=2)


def _quarters(stage: Tensor) -> Tensor:
    """The means (B, 4, C) of a stage; quarters of odd sides share their middle."""
    height, width = stage.shape[2:]
    rows = slice(None, -(-height // 2)), slice(height // 2, None)
    columns = slice(None, -(-width // 2)), slice(width // 2, None)
    return torch.stack([stage[:, :, y, x].mean((2, 3)) for y in rows for x in columns], dim=1)


class Embedding(nn.Module):
    """Directions from the mean of normal images, in their evened principal components.

    How far an image is from the mean tells less of what it is like.
    """

    mean: Tensor
    projection: Tensor

    def __init__(self, descriptors: Tensor) -> None:
        """Fit on the descriptors (N, D) of normal images."""
        super().__init__()
        found = likeness.Embedding.of(descriptors.numpy())
        self.register_buffer("mean", torch.from_numpy(found.mean))
        self.register_buffer("projection", torch.from_numpy(found.projection))

    def forward(self, descriptors: Tensor) -> Tensor:
        """Descriptors (B, D) → embeddings (B, E), each of length 1."""
        projected = (descriptors - self.mean) @ self.projection
        # not by `normalize`, whose width is fixed in a graph: there may be more components one day
        return projected / projected.norm(dim=1, keepdim=True).clamp_min(1e-12)
