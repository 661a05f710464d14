"""A run asked about labelled images: its detector once, then every alignment that is wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from onegauge.training.backbones.embedding import deviations, quarters
from onegauge.training.backbones.features import Seen
from onegauge.training.checkpoint import Checkpoint, aligned_maps, load
from onegauge.training.data.dataset import TestImage
from onegauge.training.errors import DataError
from onegauge.training.evaluation.readings import (
    Inspected,
    Layout,
    Subject,
    read_images,
    whole_pictures,
)
from onegauge.training.gauge.alignments import ALIGNMENTS, ClassAware, Look
from onegauge.training.gauge.calibration import carried, images_needed
from onegauge.training.progress import Progress
from onegauge.training.train import choose_device

AT_A_TIME = 16  # tiles that the backbone sees together


@dataclass(frozen=True)
class Detected:
    """Test images as the detector sees them, before any alignment; N is that of their tiles."""

    images: tuple[TestImage, ...]
    layouts: list[Layout]
    maps: Tensor  # (N, h, w) raw
    deviations: Tensor  # (N, D)
    quarters: Tensor  # (N, 4, D)
    places: Tensor  # (N, Q, g, g)
    milliseconds: float  # of backbone, detector and places, for each image


def evaluate_run(
    run: Path,
    images: Sequence[TestImage],
    alignments: Sequence[str] | None,
    alpha: float | None,
    device: str,
    progress: Progress,
) -> Iterator[Subject]:
    """Each alignment of a run, by default its own and none, on labelled images.

    `alpha` moves the threshold from the run's own target to another, as far as the calibration
    images carry it. Class-aware forms are left out where training knew no such product.
    """
    checkpoint = load(run)
    names = alignments or tuple(dict.fromkeys(("none", checkpoint.config.alignment)))
    require_known(names)
    for name in names:
        checkpoint.require(name)
    target = _target(checkpoint, alpha, progress)
    chosen = choose_device(device)
    detected = detect(checkpoint, images, chosen, progress)
    for name in names:
        try:
            inspected = align(checkpoint, detected, name, target)
        except DataError as exc:
            if not issubclass(ALIGNMENTS[name], ClassAware):
                raise
            progress.say(f"warning: {name} is left out: {exc}")
        else:
            card = _card(checkpoint, name, target) | {
                "time for an image": f"{detected.milliseconds:.0f} ms on {chosen.type}, not aligned"
            }
            yield Subject(str(run), name, target, 1.0, card, inspected)


def require_known(alignments: Sequence[str]) -> None:
    """Raise DataError for an alignment that there is not."""
    unknown = [name for name in alignments if name not in ALIGNMENTS]
    if unknown:
        raise DataError(f"no alignment {unknown[0]!r}; there are {', '.join(ALIGNMENTS)}")


@torch.inference_mode()
def detect(
    checkpoint: Checkpoint, images: Sequence[TestImage], device: torch.device, progress: Progress
) -> Detected:
    """Raw maps and looks of the images; unreadable ones are named and left out."""
    backbone, detector = checkpoint.backbone.to(device), checkpoint.detector.to(device)
    see = checkpoint.places.to(device)
    kept: list[TestImage] = []
    parts, seconds = [], 0.0
    config = checkpoint.config
    layouts: list[Layout] = []
    read = read_images(images, config.image_size, config.tiling, checkpoint.depth, progress)
    for batch, pictures in read:
        started = time.perf_counter()
        rows = torch.from_numpy(np.concatenate([picture.pixels for picture in pictures]))
        for image in rows.split(AT_A_TIME):
            features = backbone(image.to(device))
            found = (
                detector(Seen(image.to(device), features)),
                deviations(features),
                quarters(features),
                see(features),
            )
            parts.append([part.cpu() for part in found])
        seconds += time.perf_counter() - started
        kept += batch
        layouts += map(Layout.of, pictures)
    if not kept:
        raise DataError(f"none of the {len(images)} test images can be read")
    columns = (torch.cat(column) for column in zip(*parts, strict=True))
    return Detected(tuple(kept), layouts, *columns, milliseconds=1000 * seconds / len(kept))


def align(checkpoint: Checkpoint, detected: Detected, name: str, alpha: float) -> Inspected:
    """The readings under one alignment, calibrated for the false-alarm rate `alpha`."""
    gauge = checkpoint.gauge(name, alpha).cpu()  # some alignments are fitted by gradient here
    products = tuple(
        image.product
        for image, layout in zip(detected.images, detected.layouts, strict=True)
        for _ in layout.boxes
    )
    with torch.inference_mode():
        look = Look(gauge.embedding(detected.deviations), detected.places)
        maps = gauge.calibration(aligned_maps(gauge.alignment, detected.maps, look, products))
        score = gauge.scoring(maps)
        readings = {
            "score": score.numpy(),
            "p_value": gauge.calibration.p_value(score).numpy(),
            "raw_score": gauge.scoring(detected.maps).numpy(),
            "novelty": gauge.novelty(detected.quarters).numpy(),
            "maps": gauge.scoring.blank(maps).numpy(),
        }
    tiling, depth = checkpoint.config.tiling, checkpoint.depth
    return whole_pictures(detected.images, readings, detected.layouts, tiling, depth)


def _target(checkpoint: Checkpoint, asked: float | None, progress: Progress) -> float:
    """The false-alarm rate that the run's calibration images can promise."""
    images = checkpoint.calibration_images
    target = carried(asked or checkpoint.config.false_alarm_rate, images)
    if asked and target > asked:
        progress.say(
            f"warning: {images} calibration images promise a false-alarm rate of {target:.3g}, "
            f"not {asked:g}, which needs {images_needed(asked)}"
        )
    return target


def _card(checkpoint: Checkpoint, alignment: str, alpha: float) -> dict[str, str]:
    config = checkpoint.config
    return {
        "detector": config.detector,
        "backbone": config.backbone + (", recentred" if config.recentred else ""),
        "alignment": alignment,
        "image size": f"{config.image_size} x {config.image_size} pixels",
        "training images": str(checkpoint.images),
        "calibration images": str(checkpoint.calibration_images),
        "promised false-alarm rate": f"{alpha:.3g}",
        "training data": checkpoint.training_digest,
        "seed": str(config.seed),
    }
