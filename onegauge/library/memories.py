"""What is remembered of a normal image: a few of its own patches, far from each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onegauge.library.likeness import Array, Rows

MEMORIES = 64  # patches that are kept of an image
SHARPNESS = 0.6  # exponent of what is usual: 0 takes distances as they are, 1 their ratio to it
FLOOR = 0.05  # of the mean, that nothing usual is under: images may be copies


def remembered(points: Array) -> tuple[NDArray[np.int8], Rows]:
    """Memories int8 (B, M, A) of images with patches (B, P, A), and their places there (B, M)."""
    places = np.stack([farthest_points(patches, MEMORIES) for patches in points])
    chosen = np.take_along_axis(points, places[..., None], 1)
    return chosen.round().clip(-127, 127).astype(np.int8), places


def farthest_points(points: Array, wanted: int) -> Rows:
    """Greedy farthest-point sampling of points (P, A), from the one farthest from the mean: (M,).

    The same as `training.detectors.coreset.farthest_points_of_each`.
    """
    norms = (points**2).sum(1)
    latest = int(((points - points.mean(0)) ** 2).sum(1).argmax())
    chosen, nearest = [latest], np.full(len(points), np.inf, points.dtype)
    for _ in range(min(wanted, len(points)) - 1):
        apart = norms - 2 * (points @ points[latest]) + norms[latest]
        nearest = np.minimum(nearest, apart)
        latest = int(nearest.argmax())
        chosen.append(latest)
    return np.array(chosen)


def usual_at(
    maps: NDArray[np.float16], places: Rows, known: NDArray[np.float16]
) -> NDArray[np.float16]:
    """What distances to memories (B, M) at such places are divided by.

    From maps (B, h, w) of plain distances, each image left out, beside what is `known` of others.
    """
    padded = np.pad(maps.astype(np.float32), ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    means = np.nanmean(around, axis=(3, 4)).reshape(len(maps), -1)
    usual = np.take_along_axis(means, places, 1)
    mean = (known.astype(np.float64) ** (1 / SHARPNESS)).mean()
    return (usual.clip(min=max(FLOOR * mean, 1e-6)) ** SHARPNESS).astype(np.float16)
