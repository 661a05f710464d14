"""What a smaller precision does to scores, decisions and AUROC, beside the same graph in fp32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.metrics import roc_auc_score

from export.errors import VerificationError
from service.contract import IMAGE
from service.depth import UNKNOWN, Depth
from service.tiles import Tiling
from training.choice import NO_CHOICE, Choice
from training.dataset import Picture, readable, training_images
from training.synthesis import add_anomaly

BATCH = 8
FEWEST_IMAGES = 10
NORMAL_IMAGES = 128  # to compare on; as many with a synthetic anomaly
SCALING_IMAGES = 128  # others, for the scales of int8


@dataclass(frozen=True)
class Allowance:
    """How much a precision may change."""

    margin: float  # decisions may change for scores, and novelty, so near to the threshold 1
    auroc_loss: float


ALLOWANCES = {"fp16": Allowance(0.05, 0.002), "int8": Allowance(0.3, 0.005)}


@dataclass(frozen=True)
class Effect:
    """The differences found on `images`; scores relative to max(1, score)."""

    images: int
    score_median: float
    score_99: float  # of the images 99 % differ by less
    flipped: int  # decisions, within the margin
    auroc: float
    auroc_before: float


@dataclass(frozen=True)
class Sample:
    """Images uint8 (N, H, W, 3) of the kind that the run was trained on."""

    normal: np.ndarray
    anomalous: np.ndarray  # the same with a synthetic anomaly each
    scaling: np.ndarray  # other normal ones


def sample_of(
    folder: Path,
    size: int,
    tiling: Tiling | None = None,
    choice: Choice = NO_CHOICE,
    depth: Depth = UNKNOWN,
) -> Sample:
    """Images, or tiles, of a folder of normal ones; raises VerificationError if too few."""
    rng = np.random.default_rng(0)
    paths = training_images(folder, choice)
    chosen = [paths[i] for i in rng.permutation(len(paths))[: NORMAL_IMAGES + SCALING_IMAGES]]
    found = (picture for _, picture in readable(chosen, size, tiling, depth))
    read = [picture.pixels for picture in found if isinstance(picture, Picture)]
    if len(read) < FEWEST_IMAGES:
        raise VerificationError(
            f"{folder} has {len(read)} images, and a smaller precision is measured on at least "
            f"{FEWEST_IMAGES}: name a folder of normal images by --images"
        )
    normal = np.concatenate(read[::2])[:NORMAL_IMAGES]
    scaling = np.concatenate(read[1::2])[:SCALING_IMAGES]
    return Sample(normal, np.stack([add_anomaly(image, rng) for image in normal]), scaling)


def measure_effect(full: Path, smaller: Path, sample: Sample, allowance: Allowance) -> Effect:
    """Compare two files on a sample; raises VerificationError beyond the allowance."""
    images = np.concatenate([sample.normal, sample.anomalous])
    labels = np.repeat([0, 1], [len(sample.normal), len(sample.anomalous)])
    (score, novelty), (found, found_novelty) = (_run(file, images) for file in (full, smaller))
    if not (np.isfinite(found).all() and np.isfinite(found_novelty).all()):
        raise VerificationError("the smaller precision gives values that are not finite numbers")
    flipped = 0
    for name, before, after in (("score", score, found), ("novelty", novelty, found_novelty)):
        changed = (before >= 1) != (after >= 1)
        flipped += int(changed.sum())
        if (far := np.abs(before - 1)[changed].max(initial=0)) > allowance.margin:
            raise VerificationError(
                f"the smaller precision changes a decision whose {name} is {far:.2f} from the "
                f"threshold; {allowance.margin} is allowed"
            )
    difference = np.abs(found - score) / np.maximum(1, np.abs(score))
    auroc_before, auroc = (float(roc_auc_score(labels, values)) for values in (score, found))
    if (loss := auroc_before - auroc) > allowance.auroc_loss:
        raise VerificationError(
            f"the smaller precision costs {100 * loss:.2f} points of AUROC; "
            f"{100 * allowance.auroc_loss:g} are allowed"
        )
    return Effect(
        len(images),
        float(np.median(difference)),
        float(np.quantile(difference, 0.99)),
        flipped,
        auroc,
        auroc_before,
    )


def _run(file: Path, images: np.ndarray) -> Sequence[np.ndarray]:
    """Scores and novelties (N,)."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    batches = [
        session.run(["score", "novelty"], {IMAGE: images[start : start + BATCH]})
        for start in range(0, len(images), BATCH)
    ]
    return [np.concatenate(part) for part in zip(*batches, strict=True)]
