"""How unlike all normal images an image is, as `training.gauge.novelty` has it in the graph."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from onegauge.library.conformal import conformal_threshold
from onegauge.library.errors import LibraryError
from onegauge.library.likeness import AT_A_TIME, Array, Embedding, Rows, lowest, within

NEAREST = 8  # of the image's neighbours, those that are most like a quarter of it
FLOOR = 0.05  # of the mean, that no reference is nearer to its others: images may be copies
SHRINKAGE = 0.15  # of the logarithm, towards the mean: some products hardly vary but by defects


class Novelty(NamedTuple):
    """How far the quarters of an image are from its neighbours', in the measure of their own."""

    mean: Array  # (4, D)
    projection: Array  # (4, D, E)
    bank: Array  # (N, 4, E)
    usual: Array  # (N, 4)
    groups: Rows  # (N,)

    @classmethod
    def of(cls, references: Array, groups: Rows, rows: Rows) -> Novelty:
        """From descriptors (N, 4, D) of references of groups (N,), and their neighbours (N, k)."""
        quarters = np.moveaxis(references, 1, 0)
        embeddings = [Embedding.of(quarter) for quarter in quarters]
        mean, projection = (np.stack(part) for part in zip(*embeddings, strict=True))
        bank = np.stack([e.projected(q) for e, q in zip(embeddings, quarters, strict=True)], axis=1)
        bare = cls(mean, projection, bank, np.ones(bank.shape[:2], np.float32), groups)
        usual = bare.away(references, rows, np.stack([groups, groups], axis=1))  # (N, 4)
        average = usual.mean(0) + 1e-6
        drawn = usual.clip(min=FLOOR * average) ** (1 - SHRINKAGE) * average**SHRINKAGE
        return bare._replace(usual=drawn.astype(np.float32))

    def __call__(self, descriptors: Array, rows: Rows, own: Rows) -> Array:
        """That of the quarter where it is least, (B,), of descriptors (B, 4, D).

        Beside their neighbours (B, k), but for those of the groups `own` (B, 2).
        """
        least: Array = self.away(descriptors, rows, own).min(1)
        return least

    def away(self, descriptors: Array, rows: Rows, own: Rows) -> Array:
        """The same of each quarter, (B, 4)."""
        nearest = _comparable(self.groups)
        found = np.empty((len(descriptors), len(self.mean)), np.float32)
        for start in range(0, len(found), AT_A_TIME):
            some = slice(start, start + AT_A_TIME)
            beside = rows[some]
            barred = within(self.groups[beside], own[some])  # (B, k)
            for quarter in range(len(self.mean)):
                embedding = Embedding(self.mean[quarter], self.projection[quarter])
                asked = embedding.projected(descriptors[some, quarter])
                apart = np.linalg.norm(asked[:, None] - self.bank[beside, quarter], axis=2)
                apart[barred] = np.inf
                near, distances = lowest(apart, nearest)
                usual = self.usual[np.take_along_axis(beside, near, 1), quarter]
                found[some, quarter] = distances.mean(1) / usual.mean(1)
        return found


def threshold(distances: Array, rate: float) -> float:
    """What distances (n,) of normal images are divided by: `rate` of them lie beyond.

    So few images seldom show the tail: where a log-normal fit to them reaches further than the
    conformal threshold, it holds.
    """
    logs = np.log(distances.clip(min=1e-6))
    fitted = np.exp(logs.mean() + NormalDist().inv_cdf(1 - rate) * logs.std(ddof=1))
    return max(conformal_threshold(distances, rate), float(fitted))


def _comparable(groups: Rows) -> int:
    """How many references there are to compare with beside those of any one group."""
    others = len(groups) - int(np.unique(groups, return_counts=True)[1].max())
    if others < 2:
        raise LibraryError(
            f"all but {others} of the {len(groups)} normal images would be of one part, so that "
            "no spread can be told: keep images of more parts"
        )
    return min(NEAREST, others)
