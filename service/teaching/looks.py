"""Pictures grouped by how they look, so that a person decides on many at once.

A look is made of two histograms: of colours, and of the directions in which brightness changes.
Neither depends on where a part lies. Groups come of average linkage (Sokal and Michener 1958): the
two that are most alike join, until none are alike enough.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64  # pixels that a picture is looked at in
LEVELS = 4  # of each colour
DIRECTIONS, STRENGTHS = 8, (8, 24, 64)  # of changes of brightness; grey levels that bound strengths
ALIKE = 0.25  # the mean distance at which groups are still one, of 0 to 1

KNOWN = 2000  # looks that are kept in memory

Look = NDArray[np.float32]  # (F,), of length 1: roots of shares


class Looks:
    """Looks by the digests of their pictures, found once each."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Look] = OrderedDict()

    def of(self, digest: str, thumbnail: Callable[[], bytes]) -> Look:
        """The look of a picture; raises what its thumbnail raises."""
        look = self._known.get(digest)
        if look is None:
            look = self._known[digest] = look_of(thumbnail())
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return look


def look_of(jpeg: bytes) -> Look:
    """The look of a small picture."""
    with Image.open(BytesIO(jpeg), formats=["JPEG"]) as file:
        pixels = np.asarray(file.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    places = (pixels // (256 // LEVELS)).astype(np.int64) @ (LEVELS**2, LEVELS, 1)  # (S, S)
    colours = np.bincount(places.ravel(), minlength=LEVELS**3)
    down, right = np.gradient(pixels.astype(np.float32).mean(2))
    strength = np.digitize(np.hypot(down, right), STRENGTHS)
    direction = ((np.arctan2(down, right) / np.pi % 1) * DIRECTIONS).astype(np.int64) % DIRECTIONS
    kinds = np.where(strength == 0, 0, 1 + (strength - 1) * DIRECTIONS + direction)
    changes = np.bincount(kinds.ravel(), minlength=1 + len(STRENGTHS) * DIRECTIONS)
    shares = np.concatenate([colours, changes]) / (2 * SIDE**2)
    return np.sqrt(shares).astype(np.float32)


def groups_of(looks: Sequence[Look]) -> list[list[int]]:
    """Numbers of looks that are alike, the largest group first, in the order that they came in."""
    if not looks:
        return []
    known = np.stack(looks)
    # the distance of Hellinger: 0 for the same shares, 1 for nothing in common
    distances = np.sqrt(np.maximum(0, 1 - known @ known.T))  # (N, N)
    np.fill_diagonal(distances, np.inf)
    groups = [[number] for number in range(len(looks))]
    while True:
        one, other = sorted(np.unravel_index(int(distances.argmin()), distances.shape))
        if not distances[one, other] <= ALIKE:
            break
        sizes = len(groups[one]), len(groups[other])
        joined = (distances[one] * sizes[0] + distances[other] * sizes[1]) / sum(sizes)
        distances[one], distances[:, one] = joined, joined
        distances[one, one] = distances[other] = distances[:, other] = np.inf
        groups[one] += groups[other]
        groups[other] = []
    return sorted(
        (sorted(group) for group in groups if group), key=lambda group: (-len(group), group)
    )
