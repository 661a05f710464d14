"""A running gateway asked about labelled images over HTTP, as any line asks it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from onegauge.client import (
    Client,
    ClientError,
    Decision,
    ModelCard,
    Options,
    Refused,
    anomaly_map,
    key_of_environment,
)
from onegauge.service.imaging.depth import Depth
from onegauge.training.data.dataset import TestImage
from onegauge.training.errors import DataError
from onegauge.training.evaluation.readings import Readings, Subject, reduced
from onegauge.training.progress import Progress

SCALARS = ("score", "p_value", "raw_score", "novelty")
Found = tuple[TestImage, Decision, np.ndarray]  # with its map fp16 (h, w), of the model's size


def is_address(target: str) -> bool:
    """Whether it is the address of a gateway and no folder."""
    return target.lower().startswith(("http://", "https://"))


def evaluate_gateway(url: str, images: Sequence[TestImage], progress: Progress) -> Subject:
    """The model that a gateway serves, with the threshold that it decides by.

    One image a request. Raises DataError when no gateway answers.
    """
    started = time.perf_counter()
    try:
        with Client(url, api_key=key_of_environment()) as gateway:
            card = gateway.model()
            found = _ask(gateway, images, card, progress)
    except ClientError as exc:
        raise DataError(str(exc)) from exc
    if not found:
        raise DataError(f"{url} could inspect none of the {len(images)} test images")
    milliseconds = 1000 * (time.perf_counter() - started) / len(images)
    told = card.parameters
    rows = {"model": card.name, "version": card.version, "backend": card.backend, **told}
    rows["time for an image"] = f"{milliseconds:.0f} ms with its map, one after the other"
    calibration = told.get("calibration_images", "")
    return Subject(
        url,
        told.get("alignment", ""),
        card.max_false_alarm_rate or float(told.get("false_alarm_rate", "nan")),
        _threshold(card, [decision for _, decision, _ in found]),
        int(calibration) if calibration.isdecimal() else None,
        rows,
        _readings(found, Depth.from_parameters(told)),
    )


def _ask(
    gateway: Client, images: Sequence[TestImage], card: ModelCard, progress: Progress
) -> list[Found]:
    """What it says of each image; what it cannot read is named and left out."""
    found, size = [], (card.map_height, card.map_width)
    with progress.step("inspecting", len(images)) as step:
        for image in images:
            try:
                (decision,) = gateway.inspect([image.path], Options(map="npy")).results
            except Refused as exc:
                if "results" not in exc.problem:  # it is not the image that is refused
                    raise
                progress.say(f"warning: skipped {image.path}: {exc.problem['detail']}")
            else:
                small = reduced(anomaly_map(decision), size)
                found.append((image, decision.model_copy(update={"anomaly_map": None}), small))
            step.advance()
    return found


def _threshold(card: ModelCard, decisions: Sequence[Decision]) -> float:
    """The score from which it decided; where it decides by p-value, the least that was anomalous.

    The p-value falls as the score grows, so the two decide these images alike.
    """
    if card.threshold is not None:
        return card.threshold
    alarms = [decision.score for decision in decisions if decision.decision == "anomalous"]
    return min(alarms, default=float("inf"))


def _readings(found: Sequence[Found], depth: Depth) -> Readings:
    images, decisions, maps = zip(*found, strict=True)
    columns = {name: np.array([getattr(d, name) for d in decisions]) for name in SCALARS}
    return Readings(images, **columns, anomaly_map=np.stack(maps), depth=depth)
