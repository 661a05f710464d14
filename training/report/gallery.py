"""Which images a report shows: the worst errors, the hard cases, and what is typical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onegauge.training.evaluation.readings import Inspected
from onegauge.training.report.exhibit import Exhibit, exhibit
from onegauge.training.report.scale import THRESHOLD, UNKNOWN

ERRORS = 9  # shown of each kind
HARD = 6


@dataclass(frozen=True)
class Gallery:
    """Images that have something in common, and what it is."""

    title: str
    reading: str
    exhibits: tuple[Exhibit, ...]


def worst_false_alarms(inspected: Inspected) -> Gallery:
    """The normal images with the highest scores among those that were flagged."""
    normal = int((~inspected.anomalous).sum())
    wrong = np.flatnonzero(~inspected.anomalous & (inspected.score >= THRESHOLD))
    rows = wrong[np.argsort(-inspected.score[wrong], kind="stable")]
    if not normal:
        reading = "There are no normal images, so there can be no false alarm."
    elif not len(rows):
        reading = f"No false alarm: all {normal} normal images pass."
    else:
        reading = f"{_among(rows, normal, 'normal')} are flagged; the highest score first."
    return _gallery(inspected, "Worst false alarms", reading, rows[:ERRORS])


def worst_misses(inspected: Inspected) -> Gallery:
    """The anomalous images with the lowest scores among those that passed."""
    anomalous = int(inspected.anomalous.sum())
    wrong = np.flatnonzero(inspected.anomalous & (inspected.score < THRESHOLD))
    rows = wrong[np.argsort(inspected.score[wrong], kind="stable")]
    if not anomalous:
        reading = "There are no anomalous images, so there can be no miss."
    elif not len(rows):
        reading = f"No miss: all {anomalous} anomalous images are flagged."
    else:
        reading = f"{_among(rows, anomalous, 'anomalous')} pass; the lowest score first."
    return _gallery(inspected, "Worst misses", reading, rows[:ERRORS])


def on_the_edge(inspected: Inspected) -> Gallery:
    """The images whose scores are nearest to the threshold."""
    rows = np.argsort(np.abs(inspected.score - THRESHOLD), kind="stable")[:HARD]
    reading = "Nearest to the threshold: a small change of light or position decides."
    return _gallery(inspected, "On the edge", reading, rows)


def most_novel(inspected: Inspected) -> Gallery:
    """The images most unlike anything that the model was trained on."""
    rows = np.argsort(-inspected.novelty, kind="stable")[:HARD]
    unknown = int((inspected.novelty >= UNKNOWN).sum())
    reading = (
        "Least like the training images. From a novelty of 1 on an image counts as an unknown "
        f"product, whose decision is not to be trusted: {unknown} of {len(inspected.images)} do."
    )
    return _gallery(inspected, "Most novel", reading, rows)


def typical(inspected: Inspected, products: Sequence[str]) -> Mapping[str, list[Exhibit]]:
    """Of each product the normal and the anomalous image with the median score, if it has them."""
    names = np.array(inspected.products)
    shown: dict[str, list[Exhibit]] = {}
    for product in products:
        shown[product] = []
        for anomalous in (False, True):
            rows = np.flatnonzero((names == product) & (inspected.anomalous == anomalous))
            if len(rows):
                ordered = rows[np.argsort(inspected.score[rows], kind="stable")]
                shown[product].append(exhibit(inspected, ordered[len(rows) // 2]))
    return shown


def _gallery(inspected: Inspected, title: str, reading: str, rows: np.ndarray) -> Gallery:
    return Gallery(title, reading, tuple(exhibit(inspected, row) for row in rows))


def _among(rows: np.ndarray, images: int, kind: str) -> str:
    """How many errors there are, and how many are shown where that is fewer."""
    shown = f", of which {ERRORS} are shown," if len(rows) > ERRORS else ""
    return f"{len(rows)} of {images} {kind} images{shown}"
