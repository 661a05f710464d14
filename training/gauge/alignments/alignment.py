"""What every alignment is: raw anomaly maps in, maps that compare across products out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from onegauge.training.backbones.retrieval import Neighbours
from onegauge.training.gauge.scoring import Scoring

AT_A_TIME = 64  # images that are aligned together


class Look(NamedTuple):
    """How images look, and which references look most like them."""

    embedding: Tensor  # (B, E)
    neighbours: Neighbours

    def of(self, rows: slice) -> Look:
        """Some of the images."""
        return Look(self.embedding[rows], self.neighbours.of(rows))


class Shown(NamedTuple):
    """Images as they are aligned."""

    maps: Tensor  # (N, h, w) raw
    look: Look


@dataclass(frozen=True)
class References:
    """What is known of N normal images."""

    maps: Tensor  # (N, h, w) out-of-fold raw anomaly maps
    look: Look  # none is a neighbour of its own group
    products: tuple[str, ...]  # read by class-aware alignment alone
    scoring: Scoring
    apart: Shown | None = None  # the same as they set the threshold; None: no otherwise


@dataclass(frozen=True)
class Aligned:
    """An aligned batch and the normal statistics that it was aligned by."""

    maps: Tensor  # (B, h, w)
    location: Tensor  # (B,) raw score of the typical normal image (the paper's û)
    scale: Tensor  # (B,) its spread, in raw score units (the paper's γ̂ - û)


class Alignment(nn.Module, ABC):
    """Built from references; `forward` needs no label."""

    separates: ClassVar[bool] = False  # whether images of other products must be no neighbours

    @abstractmethod
    def __init__(self, references: References) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align raw maps (B, h, w) of images that look like `look`."""

    def given_products(self, maps: Tensor, look: Look, products: Sequence[str]) -> Aligned:  # noqa: ARG002
        """`forward` for images whose products are known; only class-aware forms make use of it."""
        return self(maps, look)


@torch.no_grad()
def aligned_maps(alignment: Alignment, maps: Tensor, look: Look, products: Sequence[str]) -> Tensor:
    """Aligned maps (N, h, w) of raw maps (N, h, w); class-aware forms read the products."""
    aligned = []
    for start in range(0, len(maps), AT_A_TIME):
        rows = slice(start, start + AT_A_TIME)
        part = alignment.given_products(maps[rows].float(), look.of(rows), products[rows])
        aligned.append(part.maps)
    return torch.cat(aligned)


def spread(values: Tensor) -> Tensor:
    """A batch of scalars (B,) shaped to act on maps (B, h, w)."""
    return values.view(-1, 1, 1)


def normalised(maps: Tensor, location: Tensor, scale: Tensor) -> Aligned:
    """Every pixel of (B, h, w) by its image's location and scale (B,)."""
    return Aligned((maps - spread(location)) / spread(scale), location, scale)


class Unaligned(Alignment):
    """No alignment: the baseline."""

    def __init__(self, references: References) -> None:
        super().__init__(references)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """The raw maps as they are, location 0 and scale 1."""
        zero = torch.zeros_like(look.embedding[:, 0])
        return Aligned(maps, zero, zero + 1)
