"""Which normal images look most like an image, and how much each of them counts.

The same as `training.backbones.embedding` and `retrieval` have in the graph.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COMPONENTS = 64
EVENING = 0.25  # of a component's variance that is taken out, as an exponent: weak ones tell, too
LEAST = 1e-3  # of the first component's deviation, that none's is under: images may be few
NEIGHBOURS = 40
LIKE = 5  # the nearest, the last of which tells how near images of this kind are
AT_A_TIME = 1024  # images whose distances to all references are in memory together

Array = NDArray[np.float32]
Rows = NDArray[np.int64]


class Embedding(NamedTuple):
    """Directions from the mean of normal images, in their evened principal components."""

    mean: Array  # (D,)
    projection: Array  # (D, E)

    @classmethod
    def of(cls, descriptors: Array) -> Embedding:
        """Fit on the descriptors (N, D) of normal images."""
        mean = descriptors.mean(0)
        scale = descriptors.std(0, ddof=1).clip(min=1e-6)
        standard = ((descriptors - mean) / scale).astype(np.float64)
        _, spread, basis = np.linalg.svd(standard, full_matrices=False)
        kept = min(COMPONENTS, len(descriptors) - 1)
        evened = basis.T * spread.clip(min=LEAST * spread[0] + 1e-6) ** -EVENING
        return cls(mean, (evened[:, :kept] / scale[:, None]).astype(np.float32))

    def __call__(self, descriptors: Array) -> Array:
        """Descriptors (B, D) → embeddings (B, E), each of length 1."""
        projected = self.projected(descriptors)
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        directions: Array = projected / lengths.clip(min=1e-12)
        return directions

    def projected(self, descriptors: Array) -> Array:
        """Descriptors (B, D) in the components, (B, E)."""
        return np.asarray((descriptors - self.mean) @ self.projection, np.float32)


class Neighbours(NamedTuple):
    """The references nearest to B images, the nearest first."""

    rows: Rows  # (B, k)
    weights: Array  # (B, k) in falling order, that add up to 1; 0 for what must not be compared


def distances(queries: Array, bank: Array) -> Array:
    """Euclidean distances (B, N) between the rows of (B, E) and (N, E)."""
    squared = (queries**2).sum(1, keepdims=True) - 2 * queries @ bank.T + (bank**2).sum(1)
    apart: Array = np.sqrt(squared.clip(min=0))
    return apart


def within(groups: Rows, own: Rows) -> NDArray[np.bool_]:
    """Whether each of the groups (N,) lies in the spans (B, 2): bool (B, N)."""
    return (groups >= own[:, :1]) & (groups <= own[:, 1:])


def neighbours_of(embeddings: Array, bank: Array, groups: Rows, own: Rows) -> Neighbours:
    """The neighbours of embeddings (B, E) in a bank (N, E), none of the groups `own` (B, 2)."""
    found = []
    for start in range(0, len(embeddings), AT_A_TIME):
        some = slice(start, start + AT_A_TIME)
        apart = distances(embeddings[some], bank)
        apart[within(groups, own[some])] = np.inf
        found.append(nearest(apart))
    return Neighbours(*(np.concatenate(part) for part in zip(*found, strict=True)))


def nearest(apart: Array) -> Neighbours:
    """The neighbours of images by their distances (B, N), infinite to what must not be compared."""
    rows, found = lowest(apart, min(NEIGHBOURS, apart.shape[1]))
    barred = np.isinf(found)
    unit = np.where(barred, 0, found)[:, :LIKE].max(1, keepdims=True).clip(min=1e-6)
    weights = np.exp(-((found / unit) ** 2))
    return Neighbours(rows, weights / weights.sum(1, keepdims=True))


def lowest(apart: Array, k: int) -> tuple[Rows, Array]:
    """Columns (B, k) of the k lowest of each row (B, N), in rising order, and their values."""
    some = np.argpartition(apart, k - 1, axis=1)[:, :k]
    order = np.take_along_axis(apart, some, 1).argsort(1, kind="stable")
    columns = np.take_along_axis(some, order, 1)
    return columns, np.take_along_axis(apart, columns, 1)
