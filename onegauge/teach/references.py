"""The normal images of a library, listed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from onegauge.library.fit import Fit

COLUMNS = ("id", "origin", "group", "added", "p_value", "nearest")


def listed(fit: Fit) -> list[tuple[str, ...]]:
    """A row of COLUMNS for each picture: of its tiles the one that is least like its like.

    The p-value is the share of the references, each beside its like, that score as high; nearest is
    the most similar picture of another part.
    """
    library = fit.library
    rows = library.references
    scores, neighbours = fit.scores(rows), fit.neighbours(rows)
    order = np.sort(scores)
    p_values = (len(order) - np.searchsorted(order, scores, "left")) / len(order)
    found = {}
    for place in np.argsort(-scores, kind="stable").tolist():
        picture = int(library.pictures[rows[place]])
        if picture in found:
            continue
        origin = library.origins[picture]
        nearest = library.origins[library.pictures[rows[neighbours.rows[place, 0]]]]
        added = datetime.fromtimestamp(origin.added, UTC).isoformat(timespec="seconds")
        group = str(library.parts[rows[place]])
        found[picture] = (
            *(origin.id, origin.name, group, added, f"{p_values[place]:.4f}", nearest.id),
        )
    return [found[picture] for picture in sorted(found)]


def write_csv(file: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table."""
    with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
