"""An ONNX file proves itself: the same images through torch and onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from onegauge.export.errors import VerificationError
from onegauge.export.session import Session
from onegauge.service.model.contract import IMAGE
from onegauge.training.gauge.gauge import Gauge, Reading

SCORE_TOLERANCE = 2e-3  # in score units, the threshold being 1
MAP_TOLERANCE = 1e-2
RELATIVE_TOLERANCE = 1e-2  # of the outputs that explain a decision
EXPLAINING = ("raw_score", "normal_location", "normal_scale", "novelty")


@dataclass(frozen=True)
class Agreement:
    """The largest differences found between torch and the exported file, in score units."""

    images: int
    score: float
    anomaly_map: float


def verify(gauge: Gauge, model: Path, images: Tensor, max_batch_size: int) -> Agreement:
    """Compare `model` with `gauge` on images uint8 (N, H, W, 3) in batches of 1, 2, 3 and max.

    Raises VerificationError when an output differs by more than its tolerance or when a single
    decision, of anomaly or of novelty, is not the same.
    """
    session = Session(model)
    with torch.inference_mode():
        expected = gauge(images)
    score = anomaly_map = 0.0
    others: set[str] = set()
    for size in sorted({1, 2, 3, max_batch_size}):
        found = _run(session, images, size)
        _check_decisions(expected, found, size)
        others |= _differing(expected, found, len(gauge.calibration.scores))
        score = max(score, _largest(found.score, expected.score))
        anomaly_map = max(anomaly_map, _largest(found.anomaly_map, expected.anomaly_map))
    if score > SCORE_TOLERANCE or anomaly_map > MAP_TOLERANCE:
        raise VerificationError(
            f"{model.name} differs from torch by {score:.2g} in the score (at most "
            f"{SCORE_TOLERANCE} allowed) and {anomaly_map:.2g} in the map ({MAP_TOLERANCE})"
        )
    if others:
        raise VerificationError(f"{', '.join(sorted(others))} of {model.name} are not as in torch")
    return Agreement(len(images), score, anomaly_map)


def _run(session: Session, images: Tensor, size: int) -> Reading:
    """All images in batches of `size`, wrapping around so that every batch is full."""
    total = len(images)
    rows = torch.arange(-(-total // size) * size) % total
    batches = ({IMAGE: images[part].numpy()} for part in torch.split(rows, size))
    outputs = session.outputs(Reading._fields, batches)
    return Reading(*(torch.from_numpy(output[:total]) for output in outputs))


def _check_decisions(expected: Reading, found: Reading, size: int) -> None:
    for name in ("score", "novelty"):
        torch_says = getattr(expected, name) >= 1
        file_says = getattr(found, name) >= 1
        flipped = int((torch_says != file_says).sum())
        if flipped:
            raise VerificationError(
                f"{flipped} of {len(torch_says)} decisions by {name} are not those of torch "
                f"(batch {size})"
            )


def _differing(expected: Reading, found: Reading, calibration_images: int) -> set[str]:
    """The outputs beside score and map that are not as expected.

    A p-value may count one calibration image more or less, where scores nearly tie.
    """
    names = {
        name
        for name in EXPLAINING
        if not torch.allclose(
            getattr(found, name), getattr(expected, name), rtol=RELATIVE_TOLERANCE, atol=1e-3
        )
    }
    if _largest(found.p_value, expected.p_value) > 1.5 / (calibration_images + 1):
        names.add("p_value")
    return names


def _largest(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference; NaN counts as infinite."""
    return float((a - b).abs().nan_to_num(torch.inf).max())
