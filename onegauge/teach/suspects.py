"""The references that are least like their like, the worst first: dirt among the normal images."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onegauge.library.fit import Fit
from onegauge.library.likeness import Array, Rows
from onegauge.library.suspicion import suspicion
from onegauge.teach.page import shown_file, shown_under, write_page
from onegauge.teach.references import write_csv

COLUMNS = ("id", "origin", "rank", "score")
PAGE = "suspects.html"
SHOWN = 60  # pictures, so that the page remains small enough to be sent
COMPARED = 3  # normal images beside each


@dataclass(frozen=True)
class Suspect:
    """A reference as it is shown."""

    rank: int
    id: str
    origin: str
    score: float
    picture: str  # data URI
    overlay: str  # data URI, under its map where it is left out
    nearest: tuple[tuple[str, str], ...]  # data URI and origin of the normal images most like it
    removal: str  # the command by which it leaves


@dataclass(frozen=True)
class SuspectsPage:
    """What the page shows."""

    suspects: tuple[Suspect, ...]
    references: int  # in all


def ranked(fit: Fit) -> tuple[Rows, Array]:
    """The references of P pictures, the most suspicious first: their places (P,) and scores (P,).

    Of the tiles of a picture the most suspicious one counts.
    """
    oddness = fit.library.oddness
    found = suspicion(oddness, fit.neighbours(fit.library.references), oddness)
    order = np.argsort(-found, kind="stable")
    pictures = fit.library.pictures[fit.library.references[order]]
    places = order[np.sort(np.unique(pictures, return_index=True)[1])]
    return places, found[places]


def rows_of(fit: Fit) -> list[tuple[str, ...]]:
    """A row of COLUMNS for each picture, the most suspicious first."""
    library, (places, scores) = fit.library, ranked(fit)
    pictures = library.pictures[library.references[places]]
    origins = [library.origins[picture] for picture in pictures.tolist()]
    told = zip(origins, scores.tolist(), strict=True)
    return [(o.id, o.name, str(n), f"{s:.4f}") for n, (o, s) in enumerate(told, 1)]


def page_of(fit: Fit, target: Sequence[str]) -> SuspectsPage:
    """The most suspicious references; `target` are the arguments that name the gauge."""
    library, (places, scores) = fit.library, ranked(fit)
    places, rows = places[:SHOWN], library.references[places[:SHOWN]]
    maps, neighbours = fit.maps(rows), fit.neighbours(rows).rows[:, :COMPARED]
    found = []
    for rank, (place, score) in enumerate(zip(places.tolist(), scores.tolist(), strict=False), 1):
        origin = library.origins[library.pictures[rows[rank - 1]]]
        picture, overlay = shown_under(maps[rank - 1], library.thumbnails[place])
        nearest = tuple(_shown(fit, like) for like in neighbours[rank - 1].tolist())
        removal = shlex.join(["onegauge", "remove", *target, "--reference", origin.id])
        found.append(
            Suspect(rank, origin.id, origin.name, score, picture, overlay, nearest, removal)
        )
    return SuspectsPage(tuple(found), len(np.unique(library.pictures[library.references])))


def suspects(fit: Fit, target: Sequence[str], out: Path | None, csv: Path | None) -> list[Path]:
    """Write the page into the folder `out`, and the list of all; returns what was written."""
    written = []
    if out is not None:
        written.append(write_page(out / PAGE, page_of(fit, target)))
    if csv is not None:
        write_csv(csv, COLUMNS, rows_of(fit))
        written.append(csv)
    return written


def _shown(fit: Fit, place: int) -> tuple[str, str]:
    library = fit.library
    origin = library.origins[library.pictures[library.references[place]]]
    return shown_file(library.thumbnails[place]), origin.name
