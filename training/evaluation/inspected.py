"""What a gauge says of labelled images, wherever it was asked: the ground of every figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.dataset import TestImage, Unreadable, readable
from training.progress import Progress

BATCH = 16


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


@dataclass(frozen=True)
class Subject:
    """What was evaluated, and what it said."""

    name: str  # a run's folder, a model's folder or a gateway's address
    alignment: str
    alpha: float  # the false-alarm rate that it promises at the threshold
    threshold: float  # 1.0, unless whoever runs a gateway moved it
    card: Mapping[str, str]  # where it comes from, row by row
    inspected: Inspected


def read_images(
    images: Sequence[TestImage], size: int, progress: Progress
) -> Iterator[tuple[list[TestImage], np.ndarray]]:
    """Batches of images with their pixels uint8 (B, size, size, 3); unreadable ones are named."""
    with progress.step("inspecting", len(images)) as step:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            read = readable([image.path for image in batch], size)
            good = []
            for image, (_, pixels) in zip(batch, read, strict=True):
                if isinstance(pixels, Unreadable):
                    progress.say(f"warning: skipped {pixels.path}: {pixels.reason}")
                else:
                    good.append((image, pixels))
            if good:
                yield [image for image, _ in good], np.stack([pixels for _, pixels in good])
            step.advance(len(batch))
