"""Which normal images an answer rests on, from what the graph compared with and from the library.

Source: the comparison is that of the detector gallery, `training.detectors.gallery`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import e
from typing import Self

import numpy as np
from numpy.typing import NDArray

from onegauge.library.library import Library, Origin
from onegauge.library.likeness import LIKE
from onegauge.schemas import Explanation, NormalPatch, ReferenceAnswer
from onegauge.service.inspection.regions import Region, box_of
from onegauge.service.model.criterion import decimal
from onegauge.service.model.outputs import Insight


@dataclass(frozen=True)
class Explainer:
    """What is remembered of the N normal images that a version of whole pictures compares with."""

    memories: NDArray[np.int8]  # (N, M, A)
    usual: NDArray[np.float16]  # (N, M) what a distance to each is divided by
    places: NDArray[np.int32]  # (N, M) pixels of the map, row by row, that each was seen at
    origins: Sequence[Origin]  # (N,)
    thumbnails: Sequence[bytes]  # (N,) JPEG

    @classmethod
    def of(cls, library: Library) -> Self:
        """From the library of the version."""
        pictures = library.pictures[library.references].tolist()
        origins = [library.origins[picture] for picture in pictures]
        return cls(library.memories, library.usual, library.places, origins, library.thumbnails)

    def reference(self, name: str) -> tuple[Origin, bytes] | None:
        """The normal image of an id, and its thumbnail; None where there is none."""
        rows = (row for row, origin in enumerate(self.origins) if origin.id == name)
        row = next(rows, None)
        return None if row is None else (self.origins[row], self.thumbnails[row])

    def explanation(self, insight: Insight) -> Explanation:
        """The normal images that look most like one image (B = 1).

        Weights are exp(-(d / d5)²) over their sum. So the fifth, whose similarity is 1 / e, tells
        those of the others.
        """
        weights = insight.weights[0, :LIKE]
        weights = weights[weights > 0]  # in falling order
        similarities = np.minimum(weights / weights[-1] / np.float32(e), 1)
        references = []
        for row, similarity in zip(insight.neighbours[0], similarities, strict=False):
            origin = self.origins[row]
            told = ReferenceAnswer(id=origin.id, origin=origin.name, similarity=decimal(similarity))
            references.append(told)
        return Explanation(references=references)

    def normal_patches(self, insight: Insight, regions: Sequence[Region]) -> list[NormalPatch]:
        """For each region of one image (B = 1) the memory that its peak is nearest to.

        A memory is a mean of 3×3 pixels of the map, and its box has them all.
        """
        if not regions:
            return []  # as of every normal image
        rows = insight.neighbours[0][insight.weights[0] > 0]  # (k,)
        points = insight.points[0]  # (h, w, A)
        peaks = points[tuple(zip(*(region.peak_at for region in regions), strict=True))]  # (R, A)
        neighbours, memories = np.divmod(self._nearest(peaks, rows), self.memories.shape[1])
        patches = []
        for row, memory in zip(rows[neighbours], memories, strict=True):
            origin, sides = self.origins[row], points.shape[:2]
            place = np.array(np.divmod(self.places[row, memory], sides[1]))  # y, x
            first, last = np.maximum(place - 1, 0), np.minimum(place + 1, np.array(sides) - 1)
            box = box_of(first, last, sides, (origin.width, origin.height))
            patches.append(NormalPatch(reference=origin.id, origin=origin.name, box=box))
        return patches

    def _nearest(self, points: NDArray[np.float32], rows: NDArray[np.int32]) -> NDArray[np.intp]:
        """Of points (R, A) the nearest of the memories of `rows` (k,), by their numbers in k·M."""
        memories = self.memories[rows].reshape(-1, points.shape[1]).astype(np.float64)  # (k·M, A)
        usual = self.usual[rows].reshape(-1).astype(np.float64)  # (k·M,)
        squared = (points**2).sum(1)[:, None] - 2 * points @ memories.T + (memories**2).sum(1)
        nearest: NDArray[np.intp] = (squared / usual**2).argmin(1)
        return nearest
