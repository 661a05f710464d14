"""Images taken one after another: how far around an image the folder's order tells of likeness.

A camera, a lot or a shift passes slowly, so images that follow each other are more alike than the
next lot will be like them. Where that is so, an image is left out together with those around it, as
in cross-validation by blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

REACH, FARTHEST = 0.025, 5  # of a folder's parts that go with a part, on each side; so many at most
FEWEST = 20  # parts of a folder of which order can tell anything
EVIDENT = 10.0  # standard deviations beyond chance
MOST = 0.5  # of an image's neighbours that are near in order by chance


def spans(folders: Sequence[Path], parts: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """First and last part (N, 2) that must not tell how each of N images scores.

    That is the image's own one, and where order tells those around it in its folder. `parts` (N,)
    are counted as they first come in the order of the names; `neighbours` (N, k) are rows of the
    images most like each, the nearest first, none of its own part.
    """
    found = np.stack([parts, parts], axis=1)
    names = np.array([folder.as_posix() for folder in folders])
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        here = np.unique(parts[rows])
        reach = min(FARTHEST, round(REACH * len(here)))
        if len(here) >= FEWEST and _tells(rows, parts, neighbours, reach):
            place = np.searchsorted(here, parts[rows])
            found[rows, 0] = here[np.maximum(place - reach, 0)]
            found[rows, 1] = here[np.minimum(place + reach, len(here) - 1)]
    return found


def _tells(rows: np.ndarray, parts: np.ndarray, neighbours: np.ndarray, reach: int) -> bool:
    """Whether the nearest neighbour of each of `rows` is near in order more often than the others.

    These are of its kind as well, so that chance is what they show, as far as they are not all
    near themselves.
    """
    apart = np.abs(parts[neighbours[rows]] - parts[rows, None])  # (R, k)
    near = (apart <= reach) & np.isin(neighbours[rows], rows)
    chance = near[:, 1:].mean(1).clip(max=MOST)
    beyond = (near[:, 0] - chance).sum()
    return bool(beyond > EVIDENT * np.sqrt((chance * (1 - chance)).sum() + 1e-9))
