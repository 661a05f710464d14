"""From raw maps to scores that compare across products, as `Cada` has it in the graph."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onegauge.library.likeness import Array, Neighbours

PLACE_LOCATION = 0.25  # weight of the map's mean in a place's location: poses differ
PLACE_SCALE = 0.6  # weight of the map's mean deviation in a place's scale
SHARED_LOCATION = 0.1  # weight of what is common to all in an image's location: a kind may be rare
SHARED_SCALE = 0.3  # and in its scale, of which few values tell little
FLOOR = 0.01  # of the deviation of all maps, that no place's scale is under: images may be copies
STORED_SIDE = 32  # pixels of a stored map, and less than twice as many: maps are smooth
LEAST_LEFT = 0.05  # of the weights, beside that of one neighbour: a spread of one is none
AT_A_TIME = 64  # images that are aligned together

Maps: TypeAlias = NDArray[np.floating[Any]]  # kept in 16 bits, computed in 32


class Scoring(NamedTuple):
    """The mean of the highest `share` of a map's pixels, of those that count."""

    share: float
    inspected: NDArray[np.bool_] | None  # (h, w); None: all count

    def __call__(self, maps: Maps) -> Array:
        """Image scores (B,) of maps (B, h, w)."""
        pixels = maps.reshape(len(maps), -1)
        if self.inspected is not None:
            pixels = pixels[:, self.inspected.ravel()]
        count = max(1, round(self.share * pixels.shape[1]))
        scores: Array = -np.partition(-pixels, count - 1, axis=1)[:, :count].mean(1)
        return scores


class Views(NamedTuple):
    """The raw map and the raw map place by place, each in the unit of its own spread."""

    maps: NDArray[np.float16]  # (N, h', w') of the references
    floor: np.float32
    units: Array  # (2,)

    @classmethod
    def of(cls, maps: Maps, neighbours: Neighbours, scoring: Scoring) -> Views:
        """From the maps (N, h, w) of the references and the neighbours of each."""
        thin = thinned(maps)
        floor = np.float32(max(FLOOR * thin.std(ddof=1), 1e-6))
        bare = cls(thin.astype(np.float16), floor, np.ones(2, np.float32))
        places = np.concatenate([bare.by_place(*some) for some in _parts(maps, neighbours)])
        units = [scoring(view).std(ddof=1) for view in (maps, places)]
        return bare._replace(units=np.array(units, np.float32).clip(min=1e-6))

    def joined(self, maps: Maps, neighbours: Neighbours) -> Array:
        """The views of raw maps (B, h, w) joined to one, (B, h, w)."""
        raw, by_place = self.units
        parts = _parts(maps, neighbours)
        return np.concatenate([(m / raw + self.by_place(m, n) / by_place) / 2 for m, n in parts])

    def by_place(self, maps: Maps, neighbours: Neighbours) -> Array:
        """Each pixel by its own location and scale in the neighbours' maps."""
        normal = self.maps[neighbours.rows].astype(np.float32)  # (B, k, h', w')
        normal = normal.reshape(*normal.shape[:2], -1)
        statistics = np.stack(moments(normal, neighbours.weights), axis=1)  # (B, 2, h'·w')
        statistics = statistics.reshape(*statistics.shape[:2], *self.maps.shape[1:])
        weight = np.array([PLACE_LOCATION, PLACE_SCALE], np.float32).reshape(1, 2, 1, 1)
        statistics += weight * (statistics.mean((2, 3), keepdims=True) - statistics)
        location, scale = np.moveaxis(enlarged(statistics, maps.shape[1:]), 1, 0)
        aligned: Array = (maps - location) / np.maximum(scale, self.floor)
        return aligned


class Statistics(NamedTuple):
    """Location and scale that an image's score should have, from those of its neighbours."""

    scores: Array  # (N,) of the references
    spreads: Array  # (N,) that each has of its own neighbours
    common: Array  # (2,) location and scale

    @classmethod
    def of(cls, scores: Array, apart: Array, neighbours: Neighbours) -> Statistics:
        """From scores (N,) of the references, those as they set the threshold, and neighbours."""
        rows, weights = neighbours
        around = _location(scores[rows], weights)[:, None, None]
        spreads = deviation(capped(apart[rows])[:, :, None], weights, around)[:, 0]
        common = np.array([scores.mean(), max(spreads.mean(), 1e-6)], np.float32)
        return cls(scores, spreads, common)

    def __call__(self, neighbours: Neighbours) -> tuple[Array, Array]:
        """Location and scale (B,) for images with such neighbours, drawn to the common ones."""
        rows, weights = neighbours
        location = _location(self.scores[rows], weights)
        location = location + SHARED_LOCATION * (self.common[0] - location)
        scale = (weights * self.spreads[rows]).sum(1)
        return location, scale + SHARED_SCALE * (self.common[1] - scale)


class Shown(NamedTuple):
    """Images as they are aligned."""

    maps: Maps  # (N, h, w) raw
    neighbours: Neighbours


class Cada(NamedTuple):
    """The joined views of an image as a z-score against its neighbours."""

    views: Views
    raw: Statistics
    joined: Statistics

    @classmethod
    def of(cls, known: Shown, apart: Shown, scoring: Scoring) -> Cada:
        """From the references, and the same as they set the threshold."""
        views = Views.of(*known, scoring)
        raw = [scoring(some.maps) for some in (known, apart)]
        joined = [scoring(views.joined(*some)) for some in (known, apart)]
        raw_statistics, statistics = (
            Statistics.of(own, others, known.neighbours) for own, others in (raw, joined)
        )
        return cls(views, raw_statistics, statistics)

    def scores(self, maps: Maps, neighbours: Neighbours, scoring: Scoring) -> Array:
        """Aligned scores (B,) of raw maps (B, h, w)."""
        return scoring(self.maps(maps, neighbours))

    def maps(self, maps: Maps, neighbours: Neighbours) -> Array:
        """Raw maps (B, h, w), aligned."""
        location, scale = self.joined(neighbours)
        joined = self.views.joined(maps, neighbours)
        aligned: Array = (joined - location[:, None, None]) / scale[:, None, None]
        return aligned


def thinned(maps: Maps) -> Array:
    """Maps (N, h, w) in means of so many pixels that the rest is as fine as maps are stored."""
    step = max(1, maps.shape[2] // STORED_SIDE)
    count, height, width = maps.shape[0], maps.shape[1] // step, maps.shape[2] // step
    cut = maps[:, : height * step, : width * step].astype(np.float32)
    thin: Array = cut.reshape(count, height, step, width, step).mean((2, 4))
    return thin


def enlarged(maps: Maps, sides: tuple[int, ...]) -> Array:
    """Maps (..., h', w') at another size, bilinear between the pixels' centres."""
    if maps.shape[-2:] == sides:
        return maps
    rows, columns = (bilinear(old, new) for old, new in zip(maps.shape[-2:], sides, strict=True))
    return np.asarray(rows @ maps @ columns.T, np.float32)


def moments(values: Array, weights: Array) -> tuple[Array, Array]:
    """Mean and deviation (B, P) of the values (B, k, P) of neighbours with weights (B, k)."""
    mean = weights[:, None] @ values  # (B, 1, P)
    return mean[:, 0], deviation(values, weights, mean)


def deviation(values: Array, weights: Array, around: Array) -> Array:
    """How far (B, P) the values (B, k, P) of neighbours with weights (B, k) are from (B, 1, P).

    It is that of the kind which the neighbours are drawn from, as a sample's is.
    """
    squares = (weights[:, None] @ (values - around) ** 2)[:, 0]
    left = (1 - (weights**2).sum(1, keepdims=True)).clip(min=LEAST_LEFT)
    found: Array = np.sqrt(squares / left)
    return found


def capped(values: Array) -> Array:
    """The values (B, k) of neighbours, the highest tenth pulled down to the next value.

    An odd reference must not make room for defects.
    """
    odd = values.shape[1] // 10
    return np.minimum(values, np.sort(values, axis=1)[:, [-1 - odd]])


def _location(values: Array, weights: Array) -> Array:
    found: Array = (weights * capped(values)).sum(1)
    return found


def _parts(maps: Maps, neighbours: Neighbours) -> list[tuple[Array, Neighbours]]:
    """So many maps, and the neighbours of their images, that what they need fits in memory."""
    rows = [slice(i, i + AT_A_TIME) for i in range(0, len(maps), AT_A_TIME)]
    parts = [Neighbours(neighbours.rows[r], neighbours.weights[r]) for r in rows]
    return [(maps[r].astype(np.float32), part) for r, part in zip(rows, parts, strict=True)]


def bilinear(old: int, new: int) -> Array:
    """The weights (new, old) of the pixels of a line in a longer one."""
    places = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    weights: Array = (1 - np.abs(places[:, None] - np.arange(old))).clip(min=0).astype(np.float32)
    return weights
