"""What a smaller precision does to scores, decisions and AUROC, beside the same graph in fp32."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from onegauge.export.errors import VerificationError
from onegauge.export.held_out import HeldOut
from onegauge.export.recalibration import judged
from onegauge.training.data.synthesis import add_anomaly

# To compare on at most, and as many with a synthetic anomaly: the AUROC lost on 128 has a standard
# error of 0.4 points, on 384 of 0.2
NORMAL_IMAGES = 384


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
    """Images uint8 (N, H, W, 3) that the run was calibrated on."""

    normal: np.ndarray
    anomalous: np.ndarray  # the same with a synthetic anomaly each
    own: list[tuple[int, int]]  # first and last group that each must not be compared with


def sample_of(held_out: HeldOut) -> Sample:
    """Images, or tiles of pictures, that the run was calibrated on."""
    rng = np.random.default_rng(0)
    normal, own = held_out.sample(NORMAL_IMAGES)
    return Sample(normal, np.stack([add_anomaly(image, rng) for image in normal]), own)


def measure_effect(full: Path, smaller: Path, sample: Sample, allowance: Allowance) -> Effect:
    """Compare two files on a sample; raises VerificationError beyond the allowance."""
    pictures = [image[np.newaxis] for image in chain(sample.normal, sample.anomalous)]
    own = 2 * sample.own
    labels = np.repeat([0, 1], [len(sample.normal), len(sample.anomalous)])
    (score, novelty), (found, found_novelty) = (
        judged(file, pictures, own) for file in (full, smaller)
    )
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
            f"the smaller precision costs {100 * loss:.2f} points of AUROC on {len(pictures)} "
            f"images; {100 * allowance.auroc_loss:g} are allowed: export with a higher "
            "--precision, or train on more images, of which more are held out to measure on"
        )
    return Effect(
        len(pictures),
        float(np.median(difference)),
        float(np.quantile(difference, 0.99)),
        flipped,
        auroc,
        auroc_before,
    )
