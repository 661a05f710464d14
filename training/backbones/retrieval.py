"""Retrieval: the normal images that look most like an image, and how much each of them counts.

What is found stands for the image's implicit class: a product, a side of it, a lot of it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from onegauge.library.likeness import LIKE, NEIGHBOURS
from onegauge.training.backbones.embedding import Embedding
from onegauge.training.backbones.neighbours import distances

NEW = (-1, -1)  # what is apart from an image that none of the references is of one group with
AXES = 32  # of the embedding, by which alone candidates for neighbours are found
CANDIDATES = 256
AT_A_TIME = 1024  # images whose distances to all references are in memory together


class Neighbours(NamedTuple):
    """The references nearest to B images, the nearest first."""

    rows: Tensor  # (B, k)
    weights: Tensor  # (B, k) in falling order, that add up to 1; 0 for what must not be compared

    def of(self, rows: slice | Tensor) -> Neighbours:
        """Those of some of the images."""
        return Neighbours(self.rows[rows], self.weights[rows])


class Retrieval(nn.Module):
    """Nearest references by embedding; their weights fall with the distance.

    So a kind of few images is judged by these, though others are among the neighbours as well.
    """

    references: Tensor
    groups: Tensor

    def __init__(self, deviations: Tensor, groups: Tensor) -> None:
        """From the descriptors (N, D) and the groups (N,) of the references."""
        super().__init__()
        self.embedding = Embedding(deviations)
        self.register_buffer("references", self.embedding(deviations))  # (N, E)
        self.register_buffer("groups", groups)

    def distances(self, embedding: Tensor, own: Tensor) -> Tensor:
        """Distances (B, N) of embeddings (B, E) to the references.

        They are infinite to those of the groups `own` (B, 2) or (1, 2), the first and the last that
        must not tell of an image; NEW for new ones.
        """
        apart = distances(embedding, self.references)
        return apart.masked_fill(within(self.groups, own), torch.inf)

    def forward(self, embedding: Tensor, own: Tensor) -> Neighbours:
        """The neighbours of images with embeddings (B, E), none of the groups `own`.

        They are sought among those that are nearest in the first axes: one product with all
        references takes as long as it takes to read them.
        """
        known, first = self.references, self.references[:, :AXES]
        squares = (first**2).sum(1).masked_fill(within(self.groups, own), torch.inf)
        apart = squares - 2 * embedding[:, :AXES] @ first.T  # (B, N) less the images' own squares
        none = apart.new_full((apart.shape[0], CANDIDATES), torch.inf)  # references may be fewer
        found = torch.cat([apart, none], dim=1).topk(CANDIDATES, dim=1, largest=False)
        barred = found.values == torch.inf
        rows = found.indices.masked_fill(barred, 0)  # (B, C), as a library may grow in a graph
        exact = (known[rows] - embedding.unsqueeze(1)).square().sum(2).sqrt()
        near = nearest(exact.masked_fill(barred, torch.inf), known.shape[0])
        return Neighbours(rows.gather(1, near.rows), near.weights)


def within(groups: Tensor, own: Tensor) -> Tensor:
    """Whether each of the groups (N,) lies in the spans (B, 2): bool (B, N)."""
    return (groups >= own[:, :1]) & (groups <= own[:, 1:])


def nearest(apart: Tensor, references: int | None = None) -> Neighbours:
    """The neighbours of images by their distances (B, N) to all references, or to candidates.

    Infinite are those of references that an image must not be compared with. There may be fewer
    `references` than candidates.
    """
    known = apart.shape[1] if references is None else references
    found = apart.topk(min(NEIGHBOURS, known), dim=1, largest=False)
    barred = found.values == torch.inf
    unit = found.values.masked_fill(barred, 0)[:, :LIKE].amax(1, keepdim=True).clamp_min(1e-6)
    weights = (-(found.values / unit).square()).exp()
    return Neighbours(found.indices, weights / weights.sum(1, keepdim=True))


@torch.inference_mode()
def neighbours_of(retrieval: Retrieval, deviations: Tensor, own: Tensor) -> Neighbours:
    """The neighbours of M images with descriptors (M, D), none of the groups `own` (M, 2)."""
    found = []
    for start in range(0, len(deviations), AT_A_TIME):
        rows = slice(start, start + AT_A_TIME)
        found.append(retrieval(retrieval.embedding(deviations[rows]), own[rows]))
    return Neighbours(*(torch.cat(part) for part in zip(*found, strict=True)))
