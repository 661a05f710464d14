"""The parts of an anomaly map that speak for an anomalous decision, in original pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onegauge.schemas import Box, Polygon
from onegauge.service.model.criterion import decimal


@dataclass(frozen=True)
class Region:
    """A connected part of the anomaly map at or above a level, in original pixels."""

    box: Box  # x, y, width, height
    area: int
    peak: float  # the map's maximum there, in score units
    mean: float
    peak_at: tuple[int, int]  # y, x in the map
    contours: list[Polygon] = field(default_factory=list)  # closed, x and y; holes are among them


def find_regions(
    anomaly_map: NDArray[np.float32],
    level: float,
    size: tuple[int, int],
    *,
    contours: bool = False,
) -> list[Region]:
    """Regions of a map (h, w) of an image of `size` (width, height), the highest peak first.

    Pixels of the map that touch by a side or a corner belong together.
    """
    if level == np.inf:  # of every normal image
        return []
    mask = anomaly_map >= np.float64(level)
    if not mask.any():
        return []
    regions = []
    for component in _components(mask):
        values = anomaly_map[tuple(component.T)]
        y, x = component[values.argmax()].tolist()
        region = Region(
            box=box_of(component.min(0), component.max(0), anomaly_map.shape, size),
            area=max(1, round(len(component) * np.prod(size) / anomaly_map.size)),
            peak=decimal(values.max()),
            mean=decimal(values.mean()),
            peak_at=(y, x),
            contours=_contours(anomaly_map, component, level, size) if contours else [],
        )
        regions.append(region)
    return sorted(regions, key=lambda region: -region.peak)


def box_of(
    first: NDArray[np.intp], last: NDArray[np.intp], sides: Sequence[int], size: tuple[int, int]
) -> Box:
    """The box, in a picture of `size` (width, height), of the pixels of a map with `sides` (h, w).

    These are from `first` to `last`, both as y, x; of what they share with others none is left out.
    """
    original = np.array(size[::-1])  # y, x
    top, left = (first * original // sides).tolist()
    bottom, right = (-(-(last + 1) * original // sides)).tolist()  # rounded up
    return left, top, right - left, bottom - top


def _contours(
    anomaly_map: NDArray[np.float32],
    component: NDArray[np.intp],
    level: float,
    size: tuple[int, int],
) -> list[Polygon]:
    """The lines between the pixels of a component (N, 2) and all others, where the map crosses
    the level as it is enlarged: linearly between the pixels' centres."""
    from contourpy import contour_generator  # takes memory, and few requests ask for contours

    below = np.nextafter(level, -np.inf)
    corner = np.maximum(component.min(0) - 1, 0)  # of all that the lines touch: y, x
    part = anomaly_map[tuple(map(slice, corner, component.max(0) + 2))]
    inside = np.zeros(part.shape, bool)
    inside[tuple((component - corner).T)] = True
    heights = np.where(inside, part.astype(np.float64), np.minimum(part, below))
    # mirrored beyond the border, so that the line of a part that is cut off runs along it
    rim = np.pad(heights, 1, mode="edge")  # (h + 2, w + 2)
    framed = np.minimum(2 * below - rim, below)
    framed[1:-1, 1:-1] = heights
    scale = np.array(size) / anomaly_map.shape[::-1]  # x, y
    polygons = []
    for line in contour_generator(z=framed).lines(below):
        places = np.asarray(line, np.float64) - 0.5 + corner[::-1]
        corners = (places * scale).clip(0, size)  # (N, 2)
        polygons.append([(round(x, 1), round(y, 1)) for x, y in corners.tolist()])
    return polygons


def _components(mask: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """The pixels (N, 2) of each component of a mask (h, w) that is not empty, as y, x.

    Rows fall into runs, of which there are far fewer than pixels, and runs that touch are joined.
    """
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = (steps == 1).nonzero()
    ends = (steps == -1).nonzero()[1]  # exclusive
    labels = np.array(_joined(rows.tolist(), starts.tolist(), ends.tolist()), np.intp)
    pixels = np.argwhere(mask)  # row by row, as the runs
    owners = labels.repeat(ends - starts)
    order = owners.argsort(kind="stable")
    cuts = np.flatnonzero(np.diff(owners[order])) + 1
    yield from np.split(pixels[order], cuts)


def _joined(rows: list[int], starts: list[int], ends: list[int]) -> list[int]:
    """A label for each run, the same for runs that touch by a side or a corner."""
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    above = 0
    for run, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        while above < run and (
            rows[above] < row - 1 or (rows[above] < row and ends[above] < start)
        ):
            above += 1
        touching = above
        while touching < run and rows[touching] == row - 1 and starts[touching] <= end:
            parents[root(run)] = root(touching)
            touching += 1
    return [root(run) for run in range(len(rows))]
