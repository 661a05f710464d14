"""A graph whose networks were changed, calibrated on its own scores of the pictures held out.

Each is scored as a new one, beside references of other groups alone. So the graph keeps the promise
by what it says itself, whatever its precision does to scores, and to novelty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch

from onegauge.export.errors import VerificationError
from onegauge.export.graph import OWN, leaving_out, replace_constants
from onegauge.export.held_out import HeldOut
from onegauge.export.session import Session
from onegauge.service.model.contract import IMAGE
from onegauge.training.gauge.calibration import Calibration
from onegauge.training.gauge.gauge import Gauge

BATCH = 8


def recalibrate(model: Path, gauge: Gauge, held_out: HeldOut) -> None:
    """Calibrate a graph, and the gauge with it, by the graph's scores of all held-out pictures.

    What an uncalibrated graph gives is what it calibrates later, to the last bit. Raises DataError
    where the scores do not differ.
    """
    gauge.calibration = Calibration(len(gauge.calibration.scores))
    gauge.novelty.threshold.fill_(1)
    store_calibration(model, gauge)
    found = judged(model, held_out.pictures(), held_out.own)
    aligned, distances = map(torch.from_numpy, found)
    evidence = held_out.checkpoint.evidence
    pictures = evidence.pictures[evidence.held_out]
    gauge.calibrate(aligned, distances, pictures, held_out.checkpoint.config)
    store_calibration(model, gauge)


def store_calibration(model: Path, gauge: Gauge) -> None:
    """Give a graph of the gauge, in whatever precision, its calibration as it is now."""
    graph = onnx.load(model)
    replace_constants(graph, {name: value.numpy() for name, value in gauge.decided.items()})
    onnx.save(graph, model)


def judged(
    model: Path, pictures: Iterable[np.ndarray], own: Iterable[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and novelties (N,) that a graph gives all tiles of pictures uint8 (T, H, W, 3).

    It compares none with references of the picture's `own` groups, first to last. Raises
    VerificationError where they are no numbers.
    """
    session = Session(leaving_out(model))
    score, novelty = session.outputs(("score", "novelty"), _batches(pictures, own))
    if not (np.isfinite(score).all() and np.isfinite(novelty).all()):
        raise VerificationError(f"{model.name} gives values that are not finite numbers")
    return score, novelty


def _batches(
    pictures: Iterable[np.ndarray], own: Iterable[Sequence[int]]
) -> Iterator[dict[str, np.ndarray]]:
    """The inputs of a graph that leaves out what is of a picture's group, which its tiles share."""
    for tiles, span in zip(pictures, own, strict=True):
        groups = np.array([span])
        for start in range(0, len(tiles), BATCH):
            yield {IMAGE: tiles[start : start + BATCH], OWN: groups}
