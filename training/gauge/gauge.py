"""The whole graph: from uint8 images to calibrated scores, as trained, evaluated and exported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from onegauge.library.likeness import NEIGHBOURS
from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.embedding import deviations, quarters
from onegauge.training.backbones.features import Seen
from onegauge.training.backbones.retrieval import NEW, Retrieval, nearest
from onegauge.training.config import TrainConfig
from onegauge.training.detectors import Detector
from onegauge.training.errors import DataError
from onegauge.training.gauge.alignments import (
    ALIGNMENTS,
    Alignment,
    Look,
    References,
    Shown,
    aligned_maps,
)
from onegauge.training.gauge.calibration import Calibration, highest_of
from onegauge.training.gauge.evidence import Evidence
from onegauge.training.gauge.novelty import Novelty
from onegauge.training.gauge.scoring import Scoring

# What is found on the images held out, as `state_dict` calls it; all else follows from the rest
DECIDED = (
    *("calibration.origin", "calibration.span", "calibration.scores"),
    "novelty.threshold",
)


class Reading(NamedTuple):
    """What the gauge says of a batch; the fields are the outputs of the exported graph."""

    score: Tensor  # (B,) calibrated: anomalous from 1.0 on
    anomaly_map: Tensor  # (B, h, w) in the same unit
    p_value: Tensor  # (B,) conformal
    raw_score: Tensor  # (B,) before alignment
    normal_location: Tensor  # (B,) raw score that is typical of normal images like this one
    normal_scale: Tensor  # (B,) and its spread
    novelty: Tensor  # (B,) unknown product from 1.0 on


class Gauge(nn.Module):
    """Backbone, detector, alignment, calibration and novelty in one module."""

    def __init__(
        self,
        config: TrainConfig,
        backbone: Backbone,
        detector: Detector,
        evidence: Evidence,
    ) -> None:
        """With the alignment of `config`, on the CPU but for the networks; not calibrated."""
        super().__init__()
        self.backbone = backbone
        self.detector = detector
        known, alignment = evidence.references, ALIGNMENTS[config.alignment]
        self.keeps_library = keeps_library(config, evidence)
        self.retrieval = Retrieval(evidence.deviations[known], evidence.groups[known])
        self.scoring = Scoring(config.score_share, evidence.inspected)
        shown = _shown(evidence, known, self.retrieval, alignment)
        references = References(
            *shown,
            evidence.products_of(known),
            self.scoring,
            _shown(evidence, evidence.apart, self.retrieval, alignment),
        )
        self.alignment = alignment(references)
        self.calibration = Calibration(evidence.calibration_images)
        near = shown.look.neighbours.rows
        self.novelty = Novelty(evidence.quarters[known], evidence.groups[known], near)

    def forward(self, image: Tensor, own: Tensor | None = None) -> Reading:
        """Inspect uint8 RGB images (B, H, W, 3): new ones, or those of before.

        These are compared with no reference of the groups `own` (B, 2) or (1, 2), first to last.
        """
        if own is None:
            own = torch.tensor([NEW], device=image.device)
        seen, look = self.see(image, own)
        return self.read(seen, look, self.detector(seen), own)

    def see(self, image: Tensor, own: Tensor) -> tuple[Seen, Look]:
        """The images as the detector sees them, and how they look beside the references."""
        features = self.backbone(image)
        embedding = self.retrieval.embedding(deviations(features))
        look = Look(embedding, self.retrieval(embedding, own))
        return Seen(image, features, look.neighbours, own), look

    def read(self, seen: Seen, look: Look, raw: Tensor, own: Tensor) -> Reading:
        """What follows from their raw maps (B, h, w)."""
        aligned = self.alignment(raw, look)
        score = self.calibration(self.scoring(aligned.maps))
        return Reading(
            score=score,
            anomaly_map=self.scoring.blank(self.calibration(aligned.maps)),
            p_value=self.calibration.p_value(score),
            raw_score=self.scoring(raw),
            normal_location=aligned.location,
            normal_scale=aligned.scale,
            novelty=self.novelty(quarters(seen.stages), look.neighbours.rows, own),
        )

    def calibrate(
        self, scores: Tensor, distances: Tensor, pictures: Tensor, config: TrainConfig
    ) -> None:
        """Set both thresholds by what held-out images (n,) give while there are none.

        `scores` are aligned, `distances` those of novelty, and `pictures` those that the images are
        tiles of. Raises DataError where the scores do not differ.
        """
        highest = highest_of(scores, pictures)
        self.calibration = Calibration.of(highest, config.false_alarm_rate)
        self.novelty.calibrate(distances, config.novelty_rate, pictures)

    @property
    def decided(self) -> dict[str, Tensor]:
        """What has been found on the images held out."""
        state = self.state_dict()
        return {name: state[name] for name in DECIDED}


def keeps_library(config: TrainConfig, evidence: Evidence) -> bool:
    """Whether images can be added and removed without training: of the default form."""
    of_default_form = config.detector == "gallery" and config.alignment == "cada"
    return of_default_form and len(evidence.references) >= NEIGHBOURS


def build_gauge(
    config: TrainConfig,
    backbone: Backbone,
    detector: Detector,
    evidence: Evidence,
    decided: Mapping[str, Tensor] | None = None,
) -> Gauge:
    """The gauge with the alignment and the rates of `config`.

    Calibrated as `decided` before, or now on the evidence. Raises DataError where that is too
    much alike.
    """
    gauge = Gauge(config, backbone, detector, evidence).eval()
    if decided is None:
        _calibrate(gauge, evidence, config)
    else:
        gauge.calibration = Calibration(len(decided["calibration.scores"]))
        gauge.load_state_dict(decided, strict=False)
    return gauge


def look_of(
    evidence: Evidence, rows: Tensor, retrieval: Retrieval, *, separated: bool = False
) -> Look:
    """How images of the evidence look beside the references of other groups.

    `separated` compares them with references of the same product alone, and raises DataError
    where one has none.
    """
    embedding = retrieval.embedding(evidence.deviations[rows])
    apart = retrieval.distances(embedding, evidence.own[rows])
    if separated:
        products = evidence.products_of(rows)
        apart = apart.masked_fill(evidence.other_products(products), torch.inf)
        if alone := apart.isinf().all(1).nonzero().flatten().tolist():
            raise DataError(f"training has no two parts of the product {products[alone[0]]!r}")
    return Look(embedding, nearest(apart))


def _shown(
    evidence: Evidence, rows: Tensor, retrieval: Retrieval, alignment: type[Alignment]
) -> Shown:
    look = look_of(evidence, rows, retrieval, separated=alignment.separates)
    return Shown(evidence.maps[rows], look)


def _calibrate(gauge: Gauge, evidence: Evidence, config: TrainConfig) -> None:
    rows = evidence.held_out
    shown = _shown(evidence, rows, gauge.retrieval, type(gauge.alignment))
    maps = aligned_maps(gauge.alignment, *shown, evidence.products_of(rows))
    near = shown.look.neighbours.rows
    distances = gauge.novelty(evidence.quarters[rows], near, evidence.own[rows])
    gauge.calibrate(gauge.scoring(maps), distances, evidence.pictures[rows], config)
