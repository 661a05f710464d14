"""What a recalibration would do, shown before it is published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onegauge.library.likeness import Array
from onegauge.teach.page import shown, write_page
from onegauge.teach.recalibrate import Recalibration

PAGE = "recalibration.html"
SHOWN = 24  # images, those nearest to the new threshold
LOWEST, HIGHEST = -1, 8  # scores at the ends of a histogram, at most
BINS = 10  # in a unit of the score


@dataclass(frozen=True)
class Exhibit:
    """A fresh image as it is shown."""

    name: str
    picture: str  # data URI
    before: float
    after: float
    novelty: float


@dataclass(frozen=True)
class Histogram:
    """How many images score in each tenth of 1 from LOWEST on; the ends hold what lies beyond."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, before: Array, after: Array) -> Histogram:
        """Of scores (n,)."""
        top = int(np.clip(np.ceil(max(before.max(), after.max())), 2, HIGHEST))
        edges = np.linspace(LOWEST, top, BINS * (top - LOWEST) + 1)
        inside = np.nextafter(np.float32(top), np.float32(0))
        counts = [np.histogram(s.clip(LOWEST, inside), edges)[0] for s in (before, after)]
        return cls(*(tuple(count.tolist()) for count in counts))

    @property
    def highest(self) -> int:
        """The most images in a bin."""
        return max(*self.before, *self.after)

    @property
    def top(self) -> int:
        """The score at the right end."""
        return LOWEST + len(self.before) // BINS


@dataclass(frozen=True)
class RecalibrationPage:
    """What the page shows."""

    found: Recalibration
    histogram: Histogram
    exhibits: tuple[Exhibit, ...]  # the highest score first

    @property
    def status(self) -> str:
        """Whether the gauge keeps its promise on the fresh images as it is."""
        shares, promised = self.found.flagged, self.found.promised
        if promised is None or shares.rate <= promised:
            return "kept"
        return "open" if shares.interval[0] <= promised else "broken"


def page_of(found: Recalibration) -> RecalibrationPage:
    """The page of a recalibration."""
    nearest = np.argsort(np.abs(found.after - 1), kind="stable")[:SHOWN]
    nearest = nearest[np.argsort(-found.after[nearest], kind="stable")]
    exhibits = tuple(_exhibit(found, place) for place in nearest.tolist())
    return RecalibrationPage(found, Histogram.of(found.before, found.after), exhibits)


def write(found: Recalibration, out: Path) -> Path:
    """Write the page into a folder; raises OSError."""
    return write_page(out / PAGE, page_of(found))


def _exhibit(found: Recalibration, place: int) -> Exhibit:
    picture = int(found.chosen[place])
    first = int(np.argmax(found.pictures.numbers == picture))  # of its tiles
    return Exhibit(
        name=found.pictures.origins[picture].name,
        picture=shown(found.pictures.images[first]),
        before=float(found.before[place]),
        after=float(found.after[place]),
        novelty=float(found.novelty[place]),
    )
