"""A run asked about labelled images: its detector once, then every alignment that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from onegauge.library.conformal import carried, images_needed
from onegauge.training.backbones.compiled import Compiled, pays
from onegauge.training.backbones.embedding import deviations, quarters
from onegauge.training.backbones.features import Seen
from onegauge.training.backbones.retrieval import NEW, Neighbours, Retrieval, nearest
from onegauge.training.checkpoint import Checkpoint, load
from onegauge.training.config import require_rate
from onegauge.training.data.dataset import TestImage
from onegauge.training.errors import DataError
from onegauge.training.evaluation.readings import (
    Columns,
    Cut,
    Intake,
    Readings,
    Subject,
    ask,
    whole_pictures,
)
from onegauge.training.gauge.alignments import ALIGNMENTS, ByProduct, Look, aligned_maps
from onegauge.training.progress import Progress
from onegauge.training.train import choose_device


@dataclass(frozen=True)
class Question:
    """What is asked of a run; what is published is measured as it is."""

    alignments: Sequence[str] | None = None  # None: its own, after none
    false_alarm_rate: float | None = None  # to promise instead of its own
    device: str = "auto"

    def __post_init__(self) -> None:
        """Raise ConfigError for a rate that is none."""
        if self.false_alarm_rate is not None:
            require_rate("false_alarm_rate", self.false_alarm_rate)


@dataclass(frozen=True)
class Detected:
    """Test images as the detector sees them, before any alignment; N is that of their tiles."""

    images: tuple[TestImage, ...]
    cuts: tuple[Cut, ...]  # of each image
    maps: Tensor  # (N, h, w) raw
    quarters: Tensor  # (N, 4, D)
    embedding: Tensor  # (N, E)
    rows: Tensor  # (N, k) of the references nearest to each
    weights: Tensor  # (N, k) and how much they count
    milliseconds: float  # of backbone, retrieval and detector, for each image

    @classmethod
    def joined(cls, parts: Sequence[Detected]) -> Detected:
        """All images of several parts."""
        tensors = {
            field.name: torch.cat([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if isinstance(getattr(parts[0], field.name), Tensor)
        }
        images = tuple(image for part in parts for image in part.images)
        cuts = tuple(cut for part in parts for cut in part.cuts)
        spent = sum(part.milliseconds * len(part.images) for part in parts)
        return cls(images, cuts, **tensors, milliseconds=spent / len(images))

    @property
    def look(self) -> Look:
        """How the tiles look beside the references."""
        return Look(self.embedding, Neighbours(self.rows, self.weights))

    @property
    def products(self) -> tuple[str, ...]:
        """The product of each tile (N,)."""
        pairs = zip(self.images, self.cuts, strict=True)
        return tuple(image.product for image, cut in pairs for _ in cut.tiles)


def evaluate_run(
    run: Path, images: Sequence[TestImage], question: Question, progress: Progress
) -> Iterator[Subject]:
    """Each alignment of a run on labelled images.

    The threshold is moved to another false-alarm rate as far as the calibration images carry it.
    Class-aware forms are left out where training knew no such product.
    """
    checkpoint = load(run)
    names = question.alignments or tuple(dict.fromkeys(("none", checkpoint.config.alignment)))
    require_known(names)
    target = _target(checkpoint, question.false_alarm_rate, progress)
    device = choose_device(question.device)
    ways = {False: detect, True: detect_separated}
    detected = {
        separates: ways[separates](checkpoint, images, device, progress)
        for separates in sorted({ALIGNMENTS[name].separates for name in names})
    }
    for name in names:
        seen = detected[ALIGNMENTS[name].separates]
        timing = f"{seen.milliseconds:.0f} ms on {device.type}, not aligned"
        try:
            readings = align(checkpoint, seen, name, target)
        except DataError as exc:
            if not issubclass(ALIGNMENTS[name], ByProduct):
                raise
            progress.say(f"warning: {name} is left out: {exc}")
        else:
            card = _card(checkpoint, name, target) | {"time for an image": timing}
            known = checkpoint.calibration_images
            yield Subject(str(run), name, target, 1.0, known, card, readings)


def require_known(alignments: Sequence[str]) -> None:
    """Raise DataError for an alignment that there is not."""
    unknown = [name for name in alignments if name not in ALIGNMENTS]
    if unknown:
        raise DataError(f"no alignment {unknown[0]!r}; there are {', '.join(ALIGNMENTS)}")


def detect(
    checkpoint: Checkpoint, images: Sequence[TestImage], device: torch.device, progress: Progress
) -> Detected:
    """Raw maps and looks of the images; unreadable ones are named and left out."""
    evidence = checkpoint.evidence
    return _detect(checkpoint, images, torch.zeros(len(evidence.references)), device, progress)


def detect_separated(
    checkpoint: Checkpoint, images: Sequence[TestImage], device: torch.device, progress: Progress
) -> Detected:
    """The same, each image beside the references of its own product alone."""
    parts = []
    for product in sorted({image.product for image in images}):
        others = checkpoint.evidence.other_products([product])[0]
        of_product = [image for image in images if image.product == product]
        barred = torch.zeros(len(others)).masked_fill(others, torch.inf)
        parts.append(_detect(checkpoint, of_product, barred, device, progress))
    return Detected.joined(parts)


@torch.inference_mode()
def _detect(
    checkpoint: Checkpoint,
    images: Sequence[TestImage],
    barred: Tensor,
    device: torch.device,
    progress: Progress,
) -> Detected:
    """Beside the references (N,) that are not barred: 0, or infinitely far."""
    looker = _Looker(checkpoint, barred, device, len(images))

    def infer(pixels: np.ndarray) -> Columns:
        parts = np.split(pixels, len(pixels)) if looker.quick else [pixels]
        found = [*progress.workers.map(looker, parts)]
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    said = ask(images, _intake(checkpoint), infer, progress)
    tensors = {name: torch.from_numpy(column) for name, column in said.outputs.items()}
    return Detected(said.images, said.cuts, **tensors, milliseconds=said.milliseconds)


class _Looker:
    """What a run sees in pixels: by graphs, image by image, where there are enough for these."""

    def __init__(
        self, checkpoint: Checkpoint, barred: Tensor, device: torch.device, images: int
    ) -> None:
        evidence, side = checkpoint.evidence, checkpoint.config.image_size
        known = evidence.references
        self.backbone: Callable[[Tensor], list[Tensor]] = checkpoint.backbone.to(device)
        self.retrieval = Retrieval(evidence.deviations[known], evidence.groups[known]).to(device)
        self.barred, self.new = barred.to(device), torch.tensor([NEW], device=device)
        self.quick, self.device = pays(images, device), device
        blank = torch.zeros(1, side, side, 3, dtype=torch.uint8, device=device)
        if self.quick:
            self.backbone = Compiled.of(checkpoint.backbone, [blank])
        seen, _ = self.see(blank)
        self.detector = checkpoint.detector.to(device).quickest(images, seen)

    def see(self, image: Tensor) -> tuple[Seen, Tensor]:
        """Images uint8 (B, H, W, 3) as the detector sees them, and their embeddings (B, E)."""
        features = self.backbone(image)
        embedding = self.retrieval.embedding(deviations(features))
        neighbours = nearest(self.retrieval.distances(embedding, self.new) + self.barred)
        return Seen(image, features, neighbours), embedding

    def __call__(self, pixels: np.ndarray) -> Columns:
        """What `Detected` has of them."""
        seen, embedding = self.see(torch.from_numpy(pixels).to(self.device))
        rows, weights = seen.neighbours
        found = {
            "maps": self.detector(seen),
            "quarters": quarters(seen.stages),
            "embedding": embedding,
            "rows": rows,
            "weights": weights,
        }
        return {name: part.cpu().numpy() for name, part in found.items()}


def align(checkpoint: Checkpoint, detected: Detected, name: str, alpha: float) -> Readings:
    """The readings under one alignment, calibrated for the false-alarm rate `alpha`."""
    gauge = checkpoint.gauge(name, alpha).cpu()
    with torch.inference_mode():
        aligned = aligned_maps(gauge.alignment, detected.maps, detected.look, detected.products)
        maps = gauge.calibration(aligned)
        score = gauge.scoring(maps)
        outputs = {
            "score": score.numpy(),
            "p_value": gauge.calibration.p_value(score).numpy(),
            "raw_score": gauge.scoring(detected.maps).numpy(),
            "novelty": gauge.novelty(detected.quarters, detected.rows, torch.tensor([NEW])).numpy(),
            "anomaly_map": gauge.scoring.blank(maps).numpy(),
        }
    return whole_pictures(detected.images, detected.cuts, outputs, _intake(checkpoint))


def _intake(checkpoint: Checkpoint) -> Intake:
    config = checkpoint.config
    return Intake(config.image_size, config.tiling, checkpoint.depth)


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
