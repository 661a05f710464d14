"""How good a run, a published model or a running gateway is on labelled images.

onegauge evaluate RUN --data DIR --alignments none,class-aware,cada --json FILE
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from onegauge.training.choice import NO_CHOICE, Choice
from onegauge.training.data.dataset import TestImage, labelled_selection, mask_of
from onegauge.training.errors import DataError
from onegauge.training.evaluation.false_alarms import at_rates, uniformity
from onegauge.training.evaluation.metrics import all_metrics
from onegauge.training.evaluation.over_http import evaluate_gateway, is_address
from onegauge.training.evaluation.pixels import pixel_metrics
from onegauge.training.evaluation.published import evaluate_published, published_model
from onegauge.training.evaluation.readings import Subject
from onegauge.training.evaluation.run import Question, evaluate_run
from onegauge.training.progress import Progress

MASK_SIDE = 256  # pixels, at which maps and masks are compared


def evaluate(
    targets: Sequence[str],
    images: Sequence[TestImage],
    question: Question,
    json_file: Path | None = None,
) -> dict[str, Any]:
    """Evaluate each target on labelled images, print a table and write the figures as JSON.

    A target is a run's folder, a published model or a repository that has only one, or the address
    of a gateway. Raises DataError for anything else.
    """
    progress = Progress()
    figures: dict[str, Any] = {"products": sorted({i.product for i in images}), "targets": {}}
    for target in targets:
        for subject in subjects(target, images, question, progress):
            of_target = figures["targets"].setdefault(target, {})
            of_target[subject.alignment] = figures_of(subject, progress)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n")
    _print(figures)
    return figures


def figures_of(subject: Subject, progress: Progress) -> dict[str, Any]:
    """All metrics of one subject, by image, by pixel and at its threshold."""
    readings = subject.readings
    with progress.step("by pixel", 2 * len(readings.images)) as step:  # each mask is asked twice

        def mask(row: int) -> np.ndarray | None:
            step.advance()
            return mask_of(readings.images[row], MASK_SIDE)

        pixels = pixel_metrics(readings.anomaly_map, mask, readings.products)
    p_values, anomalous = readings.p_value, readings.anomalous
    figures = all_metrics(
        readings.score,
        anomalous,
        readings.products,
        threshold=subject.threshold,
        alpha=subject.alpha,
        pixels=pixels,
    )
    return figures | {
        "at_rates": at_rates(p_values, anomalous, readings.products),
        "p_values": uniformity(p_values[~anomalous], subject.calibration_images),
    }


def subjects(
    target: str, images: Sequence[TestImage], question: Question, progress: Progress
) -> Iterator[Subject]:
    """What a target says of the images; of a run once for each alignment, its own last."""
    if is_address(target):
        yield evaluate_gateway(target, images, progress)
    elif model := published_model(Path(target)):
        yield evaluate_published(model, images, progress)
    else:
        yield from evaluate_run(Path(target), images, question, progress)


def both_kinds(data: Path, choice: Choice = NO_CHOICE) -> list[TestImage]:
    """The test images below `data`; says what they are and what was left out.

    Raises DataError where all are normal or all anomalous.
    """
    selection, images = labelled_selection(data, choice)
    selection.show()
    if len({image.anomalous for image in images}) < 2:
        kind = "anomalous" if images[0].anomalous else "normal"
        raise DataError(f"the test images are all {kind}: AUROC needs both kinds")
    return images


def _print(figures: dict[str, Any]) -> None:
    """One table a target; its name stands before it, where it is not cut off."""
    console = Console()
    console.print("in %: image AUROC as product mean and pooled, pixel AUROC, AUPRO,")
    console.print("false alarms / misses at the one threshold, of all and of the worst products")
    for target, alignments in figures["targets"].items():
        table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column("alignment", no_wrap=True)
        for column in ("mean", "pooled", "pixel", "AUPRO", "errors", "worst"):
            table.add_column(column, justify="right", no_wrap=True)
        for name, figure in alignments.items():
            table.add_row(name, *_cells(figure))
        console.print(target, soft_wrap=True, highlight=False)
        console.print(table)


def _cells(figure: dict[str, Any]) -> Iterator[str]:
    at, pooled = figure["at_threshold"], figure["pooled"]
    yield _percent(figure["product_mean"], "image_auroc")
    for metric in ("image_auroc", "pixel_auroc", "aupro"):
        yield _percent(pooled, metric)
    for rates in (at, at["worst_product"]):
        yield f"{_percent(rates, 'false_alarm_rate')} / {_percent(rates, 'miss_rate')}"


def _percent(figures: dict[str, Any], name: str) -> str:
    return f"{100 * figures[name]:.1f}" if name in figures else "-"
