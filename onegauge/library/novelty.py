"""How unlike all normal images an image is, as `training.gauge.novelty` has it in the graph."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from onegauge.library.conformal import conformal_threshold
from onegauge.library.errors import LibraryError
from onegauge.library.likeness import Array, Embedding, Rows, distances, lowest, within

NEIGHBOURS = 5
FLOOR = 0.05  # of the mean, that no reference is nearer to its others: images may be copies
SHRINKAGE = 0.15  # of the logarithm, towards the mean: some products hardly vary but by defects


class Neighbourhood(NamedTuple):
    """Mean distance to the nearest references, in the measure of their own distances to others."""

    embedding: Embedding
    bank: Array  # (N, E)
    usual: Array  # (N,)

    @classmethod
    def of(cls, references: Array, groups: Rows) -> Neighbourhood:
        """From descriptors (N, D) of references, which are of groups (N,)."""
        embedding = Embedding.of(references)
        bank = embedding(references)
        others, _ = lowest(_apart(bank, bank, groups, _spans(groups)), _comparable(groups))
        usual = np.linalg.norm(bank[:, None] - bank[others], axis=2).mean(1)  # (N,)
        mean = usual.mean() + 1e-6
        drawn = usual.clip(min=FLOOR * mean) ** (1 - SHRINKAGE) * mean**SHRINKAGE
        return cls(embedding, bank, drawn.astype(np.float32))

    def __call__(self, descriptors: Array, groups: Rows, own: Rows) -> Array:
        """The ratio (B,) of descriptors (B, D), beside references of none of the groups `own`."""
        apart = _apart(self.embedding(descriptors), self.bank, groups, own)
        rows, found = lowest(apart, _comparable(groups))
        ratio: Array = found.mean(1) / self.usual[rows].mean(1)
        return ratio


def least_of(quarters: list[Neighbourhood], descriptors: Array, groups: Rows, own: Rows) -> Array:
    """The distance (B,) of the quarter where it is least, of descriptors (B, 4, D)."""
    found = [q(descriptors[:, i], groups, own) for i, q in enumerate(quarters)]
    least: Array = np.stack(found).min(0)
    return least


def threshold(distances: Array, rate: float) -> float:
    """What distances (n,) of normal images are divided by: `rate` of them lie beyond.

    So few images seldom show the tail: where a log-normal fit to them reaches further than the
    conformal threshold, it holds.
    """
    logs = np.log(distances.clip(min=1e-6))
    fitted = np.exp(logs.mean() + NormalDist().inv_cdf(1 - rate) * logs.std(ddof=1))
    return max(conformal_threshold(distances, rate), float(fitted))


def _apart(queries: Array, bank: Array, groups: Rows, own: Rows) -> Array:
    apart = distances(queries, bank)
    apart[within(groups, own)] = np.inf
    return apart


def _spans(groups: Rows) -> Rows:
    return np.stack([groups, groups], axis=1)


def _comparable(groups: Rows) -> int:
    """How many references there are to compare with beside those of any one group."""
    others = len(groups) - int(np.unique(groups, return_counts=True)[1].max())
    if others < 2:
        raise LibraryError(
            f"all but {others} of the {len(groups)} normal images would be of one part, so that "
            "no spread can be told: keep images of more parts"
        )
    return min(NEIGHBOURS, others)
