"""How good a run is on labelled images: each product, all products pooled, one threshold.

python -m training evaluate RUN --data DIR --alignments none,class-aware,cada --json FILE
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from training.alignments import ALIGNMENTS, ClassAware, Look
from training.calibration import carried, images_needed
from training.checkpoint import Checkpoint, aligned_scores, load
from training.config import require_rate
from training.dataset import TestImage, Unreadable, readable, test_images
from training.embedding import deviations
from training.errors import DataError
from training.evaluation.metrics import report
from training.features import Seen
from training.progress import Progress
from training.train import choose_device

BATCH = 16


@dataclass(frozen=True)
class Inspected:
    """Test images as the detector sees them, before any alignment."""

    images: tuple[TestImage, ...]
    maps: Tensor  # (N, h, w) raw
    deviations: Tensor  # (N, D)
    places: Tensor  # (N, Q, g, g)


def evaluate_run(
    run: Path,
    data: Path,
    alignments: Sequence[str],
    json_file: Path | None = None,
    device: str = "auto",
    false_alarm_rate: float | None = None,
) -> dict[str, Any]:
    """Evaluate a run on an MVTec-style tree, print a table and write the figures as JSON.

    `false_alarm_rate` moves the threshold from the run's own target to another, as far as the
    calibration images carry it. Class-aware forms are left out where training knew no such product.
    """
    if false_alarm_rate is not None:
        require_rate("false_alarm_rate", false_alarm_rate)
    checkpoint, progress = load(run), Progress()
    unknown = [name for name in alignments if name not in ALIGNMENTS]
    if unknown:
        raise DataError(f"no alignment {unknown[0]!r}; there are {', '.join(ALIGNMENTS)}")
    target = _target(checkpoint, false_alarm_rate, progress)
    inspected = inspect(checkpoint, test_images(data), choose_device(device), progress)
    _require_both_kinds(inspected.images)
    figures = {
        "products": sorted({image.product for image in inspected.images}),
        "alignments": _compare(checkpoint, inspected, alignments, target, progress),
    }
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n")
    _print(figures)
    return figures


@torch.inference_mode()
def inspect(
    checkpoint: Checkpoint, images: Sequence[TestImage], device: torch.device, progress: Progress
) -> Inspected:
    """Raw maps and descriptors of the test images; unreadable ones are named and left out."""
    backbone, detector = checkpoint.backbone.to(device), checkpoint.detector.to(device)
    see = checkpoint.places.to(device)
    kept, maps, descriptors, places = [], [], [], []
    with progress.step("inspecting", len(images)) as step:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            pixels = readable([i.path for i in batch], checkpoint.config.image_size)
            read = [(i, x) for i, (_, x) in zip(batch, pixels, strict=True)]
            for _, bad in read:
                if isinstance(bad, Unreadable):
                    progress.say(f"warning: skipped {bad.path}: {bad.reason}")
            good = [(i, x) for i, x in read if not isinstance(x, Unreadable)]
            step.advance(len(batch))
            if good:
                image = torch.from_numpy(np.stack([x for _, x in good])).to(device)
                features = backbone(image)
                kept += [i for i, _ in good]
                maps.append(detector(Seen(image, features)).cpu())
                descriptors.append(deviations(features).cpu())
                places.append(see(features).cpu())
    return Inspected(tuple(kept), torch.cat(maps), torch.cat(descriptors), torch.cat(places))


def _target(checkpoint: Checkpoint, asked: float | None, progress: Progress) -> float:
    """The false-alarm rate that the run's calibration images can promise."""
    images = len(checkpoint.calibration_products)
    target = carried(asked or checkpoint.config.false_alarm_rate, images)
    if asked and target > asked:
        progress.say(
            f"warning: {images} calibration images promise a false-alarm rate of {target:.3g}, "
            f"not {asked:g}, which needs {images_needed(asked)}"
        )
    return target


def _compare(
    checkpoint: Checkpoint,
    inspected: Inspected,
    alignments: Sequence[str],
    target: float,
    progress: Progress,
) -> dict[str, Any]:
    """The report of each alignment that can be had for these products."""
    figures = {}
    for name in alignments:
        try:
            figures[name] = _figures(checkpoint, inspected, name, target)
        except DataError as exc:
            if not issubclass(ALIGNMENTS[name], ClassAware):
                raise
            progress.say(f"warning: {name} is left out: {exc}")
    return figures


def _figures(
    checkpoint: Checkpoint, inspected: Inspected, name: str, target: float
) -> dict[str, Any]:
    """The report of one alignment, on calibrated scores, so that the threshold is 1."""
    gauge = checkpoint.gauge(name, target).cpu()
    products = tuple(image.product for image in inspected.images)
    look = Look(gauge.embedding(inspected.deviations), inspected.places)
    share = checkpoint.config.score_share
    aligned = aligned_scores(gauge.alignment, inspected.maps, look, products, share)
    anomalous = np.array([image.anomalous for image in inspected.images])
    scores = gauge.calibration(aligned).numpy()
    return report(scores, anomalous, products, threshold=1.0, alpha=target)


def _require_both_kinds(images: Sequence[TestImage]) -> None:
    for product in {image.product for image in images}:
        kinds = {image.anomalous for image in images if image.product == product}
        if len(kinds) < 2:
            raise DataError(
                f"the test images of {product!r} are all "
                f"{'anomalous' if kinds == {True} else 'normal'}: AUROC needs both kinds"
            )


def _print(figures: dict[str, Any]) -> None:
    table = Table("alignment", title="image AUROC and errors at the one threshold, in %")
    columns = ("product mean", "pooled", "false alarms", "misses", "worst product")
    for column in columns:
        table.add_column(column, justify="right")
    for name, figure in figures["alignments"].items():
        at, worst = figure["at_threshold"], figure["at_threshold"]["worst_product"]
        table.add_row(
            name,
            f"{100 * figure['product_mean']['image_auroc']:.1f}",
            f"{100 * figure['pooled']['image_auroc']:.1f}",
            f"{100 * at['false_alarm_rate']:.1f}",
            f"{100 * at['miss_rate']:.1f}",
            f"{100 * worst['false_alarm_rate']:.1f} / {100 * worst['miss_rate']:.1f}",
        )
    Console().print(table)
