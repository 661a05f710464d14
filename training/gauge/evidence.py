"""What a run keeps of the normal images that its gauge is built from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.embedding import deviations
from onegauge.training.backbones.features import Features
from onegauge.training.config import TrainConfig
from onegauge.training.data.corpus import Corpus
from onegauge.training.data.synthesis import add_anomaly
from onegauge.training.detectors import Detector, raw_maps
from onegauge.training.errors import DataError
from onegauge.training.gauge.alignments import ALIGNMENTS
from onegauge.training.gauge.places import Places
from onegauge.training.gauge.split import Split
from onegauge.training.progress import Progress

AT_A_TIME = 16


@dataclass(frozen=True)
class Evidence:
    """Raw maps and looks of normal images: the references, and those held out."""

    maps: Tensor  # (N, h, w) fp16, out of fold
    deviations: Tensor  # (N, D)
    quarters: Tensor  # (N, 4, D)
    places: Tensor  # (N, Q, g, g) int8
    groups: Tensor  # (N,) that each reference is of: those of one part, and tiles of one picture
    products: tuple[str, ...]  # (N,) from the folders' names
    calibration_maps: Tensor  # (n, h, w) fp16
    calibration_deviations: Tensor  # (n, D)
    calibration_quarters: Tensor  # (n, 4, D)
    calibration_places: Tensor  # (n, Q, g, g) int8
    calibration_pictures: Tensor  # (n,) that each is a tile of, one of a part
    calibration_products: tuple[str, ...]  # (n,)
    corrupted: Tensor | None = None  # (N, D) with a synthetic anomaly, if an alignment needs that
    inspected: Tensor | None = None  # (h, w) bool, the pixels of maps that count; None: all

    @property
    def calibration_images(self) -> int:
        """How many pictures were calibrated on, each of another part."""
        return len(self.calibration_pictures.unique())

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}


def gather(
    config: TrainConfig,
    corpus: Corpus,
    split: Split,
    backbone: Backbone,
    detector: Detector,
    places: Places,
    inspected: Tensor | None,
    progress: Progress,
) -> Evidence:
    """Look at the references and the images held out with what was fitted.

    Raises DataError for a reference that can be compared with no other image.
    """
    known, held_out = split.references, split.held_out
    references, calibration = (corpus.features.subset(rows) for rows in (known, held_out))
    products = corpus.products[corpus.pictures]  # (N,)
    corrupted = None
    if ALIGNMENTS[config.alignment].learns_anomalies:
        corrupted = corrupted_deviations(references, backbone, config.seed, progress)
    evidence = Evidence(
        maps=detector.out_of_fold(references, progress),
        deviations=corpus.deviations[known],
        quarters=corpus.quarters[known],
        places=places.compact(references, progress),
        groups=torch.from_numpy(references.sources),
        products=tuple(products[known].tolist()),
        calibration_maps=raw_maps(detector, calibration, progress),
        calibration_deviations=corpus.deviations[held_out],
        calibration_quarters=corpus.quarters[held_out],
        calibration_places=places.compact(calibration, progress),
        calibration_pictures=torch.from_numpy(corpus.pictures[held_out]),
        calibration_products=tuple(products[held_out].tolist()),
        corrupted=corrupted,
        inspected=inspected,
    )
    _require_numbers(evidence.maps, corpus, known)
    return evidence


@torch.inference_mode()
def corrupted_deviations(
    features: Features, backbone: Backbone, seed: int, progress: Progress
) -> Tensor:
    """Deviations (N, D) of the images in view, each with a synthetic anomaly of its own."""
    found = []
    with progress.step("anomalies", len(features)) as step:
        for start in range(0, len(features), AT_A_TIME):
            some = features.rows[start : start + AT_A_TIME]
            rngs = (np.random.default_rng((seed, int(row))) for row in some)
            images = (features.images[row] for row in some)
            harmed = np.stack([add_anomaly(x, rng) for x, rng in zip(images, rngs, strict=True)])
            found.append(deviations(backbone(torch.from_numpy(harmed).to(features.device))).cpu())
            step.advance(len(some))
    return torch.cat(found)


def _require_numbers(maps: Tensor, corpus: Corpus, rows: np.ndarray) -> None:
    """Raise DataError for an image that nothing was left to compare with, out of fold."""
    alone = (~maps.isfinite()).flatten(1).any(1).nonzero().flatten().tolist()
    if alone:
        raise DataError(
            f"{corpus.paths[corpus.pictures[rows[alone[0]]]]} can be compared with no other image: "
            "all that the detector remembers is of its part; train on more parts that differ, or "
            "raise --bank-size"
        )
