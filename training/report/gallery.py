"""Which images a report shows: the worst errors, the hard cases, and what is typical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onegauge.training.evaluation.readings import Readings
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


def worst_false_alarms(readings: Readings) -> Gallery:
    """The normal images with the highest scores among those that were flagged."""
    normal = int((~readings.anomalous).sum())
    wrong = np.flatnonzero(~readings.anomalous & (readings.score >= THRESHOLD))
    rows = wrong[np.argsort(-readings.score[wrong], kind="stable")]
    if not normal:
        reading = "There are no normal images, so there can be no false alarm."
    elif not len(rows):
        reading = f"No false alarm: all {normal} normal images pass."
    else:
        reading = f"{_among(rows, normal, 'normal')} are flagged; the highest score first."
    return _gallery(readings, "Worst false alarms", reading, rows[:ERRORS])


def worst_misses(readings: Readings) -> Gallery:
    """The anomalous images with the lowest scores among those that passed."""
    anomalous = int(readings.anomalous.sum())
    wrong = np.flatnonzero(readings.anomalous & (readings.score < THRESHOLD))
    rows = wrong[np.argsort(readings.score[wrong], kind="stable")]
    if not anomalous:
        reading = "There are no anomalous images, so there can be no miss."
    elif not len(rows):
        reading = f"No miss: all {anomalous} anomalous images are flagged."
    else:
        reading = f"{_among(rows, anomalous, 'anomalous')} pass; the lowest score first."
    return _gallery(readings, "Worst misses", reading, rows[:ERRORS])


def on_the_edge(readings: Readings) -> Gallery:
    """The images whose scores are nearest to the threshold."""
    rows = np.argsort(np.abs(readings.score - THRESHOLD), kind="stable")[:HARD]
    reading = "Nearest to the threshold: a small change of light or position decides."
    return _gallery(readings, "On the edge", reading, rows)


def most_novel(readings: Readings) -> Gallery:
    """The images most unlike anything that the model was trained on."""
    rows = np.argsort(-readings.novelty, kind="stable")[:HARD]
    unknown = int((readings.novelty >= UNKNOWN).sum())
    reading = (
        "Least like the training images. From a novelty of 1 on an image counts as an unknown "
        f"product, whose decision is not to be trusted: {unknown} of {len(readings.images)} do."
    )
    return _gallery(readings, "Most novel", reading, rows)


def typical(readings: Readings, products: Sequence[str]) -> Mapping[str, list[Exhibit]]:
    """Of each product the normal and the anomalous image with the median score, if it has them."""
    names = np.array(readings.products)
    shown: dict[str, list[Exhibit]] = {}
    for product in products:
        shown[product] = []
        for anomalous in (False, True):
            rows = np.flatnonzero((names == product) & (readings.anomalous == anomalous))
            if len(rows):
                ordered = rows[np.argsort(readings.score[rows], kind="stable")]
                shown[product].append(exhibit(readings, ordered[len(rows) // 2]))
    return shown


def _gallery(readings: Readings, title: str, reading: str, rows: np.ndarray) -> Gallery:
    return Gallery(title, reading, tuple(exhibit(readings, row) for row in rows))


def _among(rows: np.ndarray, images: int, kind: str) -> str:
    """How many errors there are, and how many are shown where that is fewer."""
    shown = f", of which {ERRORS} are shown," if len(rows) > ERRORS else ""
    return f"{len(rows)} of {images} {kind} images{shown}"
