"""The whole graph: from uint8 images to calibrated scores, as trained, evaluated and exported."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.embedding import Embedding, deviations, quarters
from onegauge.training.backbones.features import Seen
from onegauge.training.detectors import Detector
from onegauge.training.gauge.alignments import Alignment, Look
from onegauge.training.gauge.calibration import Calibration
from onegauge.training.gauge.novelty import Novelty
from onegauge.training.gauge.places import Places
from onegauge.training.gauge.scoring import Scoring


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
        backbone: Backbone,
        detector: Detector,
        embedding: Embedding,
        places: Places,
        alignment: Alignment,
        calibration: Calibration,
        novelty: Novelty,
        scoring: Scoring,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.detector = detector
        self.embedding = embedding
        self.places = places
        self.alignment = alignment
        self.calibration = calibration
        self.novelty = novelty
        self.scoring = scoring

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
