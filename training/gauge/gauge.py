"""The whole graph: from uint8 images to calibrated scores, as trained, evaluated and exported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.embedding import Embedding, deviations, quarters
from onegauge.training.backbones.features import Seen
from onegauge.training.config import TrainConfig
from onegauge.training.detectors import Detector
from onegauge.training.gauge.alignments import (
    ALIGNMENTS,
    Look,
    References,
    aligned_maps,
)
from onegauge.training.gauge.calibration import Calibration, highest_of
from onegauge.training.gauge.evidence import Evidence
from onegauge.training.gauge.novelty import Novelty
from onegauge.training.gauge.places import Places
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
        places: Places,
        evidence: Evidence,
    ) -> None:
        """With the alignment of `config`, on the CPU but for the networks; not calibrated."""
        super().__init__()
        self.backbone = backbone
        self.detector = detector
        self.embedding = Embedding(evidence.deviations)
        self.places = places
        self.scoring = Scoring(config.score_share, evidence.inspected)
        references = References(
            evidence.maps,
            Look(self.embedding(evidence.deviations), evidence.places),
            evidence.products,
            self.scoring,
            evidence.groups,
            None if evidence.corrupted is None else self.embedding(evidence.corrupted),
        )
        self.alignment = ALIGNMENTS[config.alignment](references)
        self.calibration = Calibration(evidence.calibration_images)
        self.novelty = Novelty(evidence.quarters, evidence.groups)

    def forward(self, image: Tensor) -> Reading:
        """Inspect uint8 RGB images (B, H, W, 3)."""
        features = self.backbone(image)
        raw = self.detector(Seen(image, features))  # (B, h, w)
        look = Look(self.embedding(deviations(features)), self.places(features))
        aligned = self.alignment(raw, look)
        score = self.calibration(self.scoring(aligned.maps))
        return Reading(
            score=score,
            anomaly_map=self.scoring.blank(self.calibration(aligned.maps)),
            p_value=self.calibration.p_value(score),
            raw_score=self.scoring(raw),
            normal_location=aligned.location,
            normal_scale=aligned.scale,
            novelty=self.novelty(quarters(features)),
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


def build_gauge(
    config: TrainConfig,
    backbone: Backbone,
    detector: Detector,
    places: Places,
    evidence: Evidence,
    decided: Mapping[str, Tensor] | None = None,
) -> Gauge:
    """The gauge with the alignment and the rates of `config`.

    Calibrated as `decided` before, or now on the evidence. Raises DataError where that is too
    much alike.
    """
    gauge = Gauge(config, backbone, detector, places, evidence).eval()
    if decided is None:
        _calibrate(gauge, evidence, config)
    else:
        gauge.load_state_dict(decided, strict=False)
    return gauge


def _calibrate(gauge: Gauge, evidence: Evidence, config: TrainConfig) -> None:
    embedding = gauge.embedding(evidence.calibration_deviations)
    maps = aligned_maps(
        gauge.alignment,
        evidence.calibration_maps,
        Look(embedding, evidence.calibration_places),
        evidence.calibration_products,
    )
    distances = gauge.novelty(evidence.calibration_quarters)
    gauge.calibrate(gauge.scoring(maps), distances, evidence.calibration_pictures, config)
