"""What follows from a library: the constants of the graph, by the names that it gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onegauge.library.conformal import Calibrated, calibrated, carried, highest_of
from onegauge.library.errors import LibraryError
from onegauge.library.library import FORM, Library
from onegauge.library.likeness import (
    NEIGHBOURS,
    Array,
    Embedding,
    Neighbours,
    Rows,
    neighbours_of,
)
from onegauge.library.novelty import Novelty, threshold
from onegauge.library.views import Cada, Scoring, Shown

MEMORIES, USUAL = "detector.memories", "detector.usual"


class Seen(NamedTuple):
    """What the graph sees in B images."""

    deviations: Array  # (B, D)
    quarters: Array  # (B, 4, D)
    raw_map: Array  # (B, h, w)


@dataclass(frozen=True)
class Fit:
    """A library with all that it takes to judge an image by it."""

    library: Library
    embedding: Embedding
    bank: Array  # (N, E) embeddings of the references
    novelty: Novelty
    cada: Cada
    calibrated: Calibrated
    novelty_threshold: float

    @classmethod
    def of(cls, library: Library) -> Fit:
        """All that follows from the normal images.

        Raises LibraryError where they are too few, or of an onegauge that compared in another form.
        """
        if library.form != FORM:
            raise LibraryError(
                "the normal images are of an onegauge with another form of alignment, which this "
                "one does not continue: train the model anew"
            )
        if len(library) < NEIGHBOURS:
            raise LibraryError(
                f"the library would have {len(library)} references: it needs {NEIGHBOURS} at least"
            )
        rows, groups = library.references, library.groups[library.references]
        embedding, bank = find_embedding(library)
        scoring = Scoring(library.rates.score_share, library.inspected)
        known, apart = (
            Shown(library.maps[some].astype(np.float32), neighbours(library, embedding, bank, some))
            for some in (rows, library.apart)
        )
        cada = Cada.of(known, apart, scoring)
        near = known.neighbours.rows
        novelty = Novelty.of(library.quarters[rows], groups, near)
        held_out = library.held_out
        look = neighbours(library, embedding, bank, held_out)
        aligned = cada.scores(library.maps[held_out], look, scoring)
        far = novelty(library.quarters[held_out], look.rows, library.own[held_out])
        pictures, rates = library.pictures[held_out], library.rates
        found = calibrated(highest_of(aligned, pictures), rates.false_alarm_rate)
        novel = threshold(highest_of(far, pictures), rates.novelty_rate)
        return cls(library, embedding, bank, novelty, cada, found, novel)

    @property
    def calibration_images(self) -> int:
        """How many pictures were calibrated on, each of another part."""
        return len(self.calibrated.scores)

    @property
    def false_alarm_rate(self) -> float:
        """What the calibration images carry of the target rate."""
        return carried(self.library.rates.false_alarm_rate, self.calibration_images)

    @property
    def novelty_rate(self) -> float:
        """What the calibration images carry of the target novelty rate."""
        return carried(self.library.rates.novelty_rate, self.calibration_images)

    @property
    def scoring(self) -> Scoring:
        """How a map becomes an image score."""
        return Scoring(self.library.rates.score_share, self.library.inspected)

    def neighbours(self, rows: Rows) -> Neighbours:
        """The references that look most like some rows (R,), none of the groups of their own."""
        return neighbours(self.library, self.embedding, self.bank, rows)

    def scores(self, rows: Rows) -> Array:
        """The calibrated scores (R,) of some rows, each as if nothing had seen its part."""
        maps = self.library.maps[rows]
        return self.calibrated(self.cada.scores(maps, self.neighbours(rows), self.scoring))

    def maps(self, rows: Rows) -> Array:
        """The calibrated maps (R, h, w) of some rows, likewise; 0 where nothing is inspected."""
        aligned = self.cada.maps(self.library.maps[rows], self.neighbours(rows))
        inspected = self.library.inspected
        found = self.calibrated(aligned)
        return found if inspected is None else np.where(inspected, found, np.float32(0))

    def judge(self, added: Seen, own: Rows) -> tuple[Array, Array]:
        """Scores and novelties (B,) of images, beside references of none of the groups `own`."""
        groups = self.library.groups[self.library.references]
        look = neighbours_of(self.embedding(added.deviations), self.bank, groups, own)
        scores = self.cada.scores(added.raw_map, look, self.scoring)
        far = self.novelty(added.quarters, look.rows, own)
        return self.calibrated(scores), far / np.float32(self.novelty_threshold)

    def constants(self) -> dict[str, NDArray[Any]]:
        """Those of the graph, by their names there."""
        views = self.cada.views
        found: dict[str, Any] = {
            MEMORIES: self.library.memories,
            USUAL: self.library.usual,
            **retrieval_constants(self.library, self.embedding, self.bank),
            "alignment.views.units": views.units,
            "alignment.views.by_place.maps": views.maps,
            "alignment.views.by_place.floor": views.floor,
            "alignment.views.scores": self.cada.joined.scores,
            "alignment.raw.scores": self.cada.raw.scores,
            "alignment.raw.spreads": self.cada.raw.spreads,
            "alignment.raw.common": self.cada.raw.common,
            "alignment.joined.spreads": self.cada.joined.spreads,
            "alignment.joined.common": self.cada.joined.common,
            "calibration.scores": self.calibrated.scores,
            "calibration.origin": self.calibrated.origin,
            "calibration.span": self.calibrated.span,
            "novelty.threshold": np.float32(self.novelty_threshold),
            **{f"novelty.{name}": part for name, part in self.novelty._asdict().items()},
        }
        return {name: np.asarray(value) for name, value in found.items()}


def find_embedding(library: Library) -> tuple[Embedding, Array]:
    """The embedding that tells the references apart best, and where it has them (N, E)."""
    deviations = library.deviations[library.references]
    embedding = Embedding.of(deviations)
    return embedding, embedding(deviations)


def retrieval_constants(
    library: Library, embedding: Embedding, bank: Array
) -> dict[str, NDArray[Any]]:
    """The constants of the graph by which it finds what looks most like an image."""
    return {
        "retrieval.references": bank,
        "retrieval.groups": library.groups[library.references],
        "retrieval.embedding.mean": embedding.mean,
        "retrieval.embedding.projection": embedding.projection,
    }


def neighbours(library: Library, embedding: Embedding, bank: Array, rows: Rows) -> Neighbours:
    """The references that look most like some rows (R,), none of the groups of their own."""
    groups = library.groups[library.references]
    return neighbours_of(embedding(library.deviations[rows]), bank, groups, library.own[rows])
