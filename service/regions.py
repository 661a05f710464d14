"""The parts of an anomaly map that speak for an anomalous decision, in original pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from service.decision import decimal

Box: TypeAlias = tuple[int, int, int, int]
Polygon: TypeAlias = list[tuple[float, float]]


@dataclass(frozen=True)
class Region:
    """A connected part of the anomaly map at or above a level, in original pixels."""

    box: Box  # x, y, width, height
    area: int
    peak: float  # the map's maximum there, in score units
    mean: float
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
    original, sides = np.array(size[::-1]), np.array(anomaly_map.shape)  # y, x
    regions = []
    for component in _components(anomaly_map >= np.float64(level)):
        top, left = (component.min(0) * original // sides).tolist()
        bottom, right = (-(-(component.max(0) + 1) * original // sides)).tolist()  # rounded up
        values = anomaly_map[tuple(component.T)]
        region = Region(
            box=(left, top, right - left, bottom - top),
            area=max(1, round(len(component) * original.prod() / sides.prod())),
            peak=decimal(values.max()),
            mean=decimal(values.mean()),
            contours=_contours(anomaly_map, component, level, size) if contours else [],
        )
        regions.append(region)
    return sorted(regions, key=lambda region: -region.peak)


def _contours(
    anomaly_map: NDArray[np.float32],
    component: NDArray[np.intp],
    level: float,
    size: tuple[int, int],
) -> list[Polygon]:
    """The lines between the pixels of a component (N, 2) and all others, where the map crosses
    the level as it is enlarged: linearly between the pixels' centres."""
    below = np.nextafter(level, -np.inf)
    inside = np.zeros(anomaly_map.shape, bool)
    inside[tuple(component.T)] = True
    heights = np.where(inside, anomaly_map.astype(np.float64), np.minimum(anomaly_map, below))
    # mirrored beyond the border, so that the line of a part that is cut off runs along it
    rim = np.pad(heights, 1, mode="edge")  # (h + 2, w + 2)
    framed = np.minimum(2 * below - rim, below)
    framed[1:-1, 1:-1] = heights
    scale = np.array(size) / anomaly_map.shape[::-1]  # x, y
    polygons = []
    for line in contour_generator(z=framed).lines(below):
        corners = ((np.asarray(line, np.float64) - 0.5) * scale).clip(0, size)  # (N, 2)
        polygons.append([(round(x, 1), round(y, 1)) for x, y in corners.tolist()])
    return polygons


def _components(mask: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """The pixels (N, 2) of each component of a mask (h, w), in coordinates y, x."""
    left = set(zip(*(axis.tolist() for axis in mask.nonzero()), strict=True))
    while left:
        found = [left.pop()]
        for y, x in found:  # grows while it is walked
            touching = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= touching
            found.extend(touching)
        yield np.array(found)
