"""What a gauge says of labelled images, wherever it was asked: the ground of every figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.dataset import TestImage


@dataclass(frozen=True)
class Inspected:
    """N labelled images and their calibrated readings, as `training.gauge.Reading` names them."""

    images: tuple[TestImage, ...]
    score: np.ndarray  # (N,) calibrated, anomalous from 1.0 on
    p_value: np.ndarray  # (N,)
    raw_score: np.ndarray  # (N,) before alignment
    novelty: np.ndarray  # (N,) unknown product from 1.0 on
    maps: np.ndarray  # (N, h, w) fp16, in the unit of the score

    @property
    def products(self) -> tuple[str, ...]:
        """The product of each image."""
        return tuple(image.product for image in self.images)

    @property
    def anomalous(self) -> np.ndarray:
        """Bool (N,)."""
        return np.array([image.anomalous for image in self.images])
