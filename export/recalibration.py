"""A graph whose networks were changed, calibrated on its own scores of the pictures held out.

Those pictures are exchangeable with new ones, as nothing in the graph depends on them, int8's
scales included. So it is the graph itself that keeps the promise of split conformal calibration,
whatever its precision does to scores, and to novelty.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from onegauge.export.errors import VerificationError
from onegauge.export.session import Session
from onegauge.training.checkpoint import Checkpoint
from onegauge.training.gauge.calibration import Calibration
from onegauge.training.gauge.gauge import Gauge

BATCH = 8


def recalibrate(
    model: Path, gauge: Gauge, checkpoint: Checkpoint, pictures: Iterable[np.ndarray]
) -> None:
    """Calibrate a graph, and the gauge with it, by the graph's scores of all held-out pictures.

    `pictures` are uint8 (T, size, size, 3) each. What an uncalibrated graph gives is what it
    calibrates later, to the last bit. Raises DataError where the scores do not differ.
    """
    gauge.calibration = Calibration(len(gauge.calibration.scores))
    gauge.novelty.threshold.fill_(1)
    store_calibration(model, gauge)
    aligned, distances = map(torch.from_numpy, judged(model, pictures))
    evidence = checkpoint.evidence
    pictures_of = evidence.pictures[evidence.held_out]
    gauge.calibrate(aligned, distances, pictures_of, checkpoint.config)
    store_calibration(model, gauge)


def store_calibration(model: Path, gauge: Gauge) -> None:
    """Give a graph of the gauge, in whatever precision, its calibration as it is now."""
    graph = onnx.load(model)
    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    for name, value in gauge.decided.items():
        constants[name].CopyFrom(numpy_helper.from_array(value.numpy(), name))
    onnx.save(graph, model)


def judged(model: Path, pictures: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and novelties (N,) that a graph gives all tiles of pictures uint8 (T, H, W, 3).

    Raises VerificationError where they are no numbers.
    """
    batches = (
        tiles[start : start + BATCH] for tiles in pictures for start in range(0, len(tiles), BATCH)
    )
    score, novelty = Session(model).outputs(("score", "novelty"), batches)
    if not (np.isfinite(score).all() and np.isfinite(novelty).all()):
        raise VerificationError(f"{model.name} gives values that are not finite numbers")
    return score, novelty
