"""Speed and decisions of the runtimes for CPUs on one published model.

    python -m bench.runtimes REPOSITORY NAME DATA [--margin 0.1]

DATA are labelled images. Each is inspected by all in turns, on all cores as if it were alone and on
one thread as if there were others; decisions are compared with those of ONNX Runtime. A quick look
is in bfloat16, where the processor has it, and a second one in full precision where score or
novelty is within the margin of the threshold (ONEGAUGE_QUICK_LOOK).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import typer
from sklearn.metrics import roc_auc_score

from bench.support.figures import keep
from onegauge.service.errors import BackendUnavailable
from onegauge.service.model.backends import onnx, openvino
from onegauge.service.model.backends.embedded import Look, Run
from onegauge.service.model.repository import served_version
from onegauge.training.data.dataset import Picture, readable
from onegauge.training.data.dataset import test_images as labelled_images

WARM_UP = 5
MARGIN = 0.1  # of scores


def main(repository: Path, name: str, data: Path, margin: float = MARGIN) -> None:
    """Measure, print a table, keep the figures."""
    stored = served_version(repository / name)
    images = labelled_images(data)
    read = list(readable([image.path for image in images], stored.contract.height))
    kept = [i for i, (_, picture) in enumerate(read) if isinstance(picture, Picture)]
    pixels = np.concatenate([read[i][1].pixels for i in kept])  # (N, H, W, 3)
    anomalous = np.array([images[i].anomalous for i in kept])
    seconds, scores = take_turns(runtimes(stored.model_file(), margin), pixels)
    reference = scores["ONNX Runtime", "one thread"]
    rows: dict[str, dict[str, Any]] = {}
    for (runtime, cores), found in scores.items():
        rows[f"{runtime}, {cores}"] = row = {
            "ms": round(1000 * mean(seconds[runtime, cores]), 1),
            "speed": round(mean(seconds["ONNX Runtime", cores]) / mean(seconds[runtime, cores]), 2),
            "equal_decisions": round(float(np.mean((found >= 1) == (reference >= 1))), 4),
            "pooled_auroc": round(100 * roc_auc_score(anomalous, found), 2),
        }
        sys.stdout.write(f"{runtime:13} {cores:11} {row}\n")
    near = float(np.mean(np.abs(reference - 1) <= margin))
    sys.stdout.write(f"{near:.1%} of the images are within {margin:g} of the threshold\n")
    keep(f"runtimes with {name}", {"margin": margin, "within": round(near, 4), **rows})


def runtimes(model: Path, margin: float) -> dict[tuple[str, str], Run]:
    """All ways to inspect, by runtime and cores."""
    full = {
        "ONNX Runtime": onnx.compile_model(model, 0),
        "OpenVINO": openvino.compile_model(model, 0),
    }
    found = {}
    for runtime, compiled in full.items():
        found[runtime, "one thread"] = compiled.exact.beside
        found[runtime, "all cores"] = compiled.exact.alone
    if looks := quick_looks(model):
        exact = full["OpenVINO"].exact
        for cores, quick, second in (
            ("one thread", looks.beside, exact.beside),
            ("all cores", looks.alone, exact.alone),
        ):
            found["quick alone", cores] = quick
            found["quick look", cores] = two_looks(quick, second, margin)
    return found


def quick_looks(model: Path) -> Look | None:
    """In bfloat16; None, and why, where the processor has it not."""
    try:
        return openvino.compile_model(model, 0, quick=True).quick
    except BackendUnavailable as exc:
        sys.stdout.write(f"{exc}\n")
        return None


def two_looks(quick: Run, exact: Run, margin: float) -> Run:
    """As the gateway looks."""

    def run(images: np.ndarray) -> Mapping[str, np.ndarray]:
        seen = quick(images)
        near = min(abs(float(seen[name][0]) - 1) for name in ("score", "novelty"))
        return exact(images) if near <= margin else seen

    return run


def take_turns(
    ways: dict[tuple[str, str], Callable[[np.ndarray], Mapping[str, np.ndarray]]],
    pixels: np.ndarray,
) -> tuple[dict[tuple[str, str], list[float]], dict[tuple[str, str], np.ndarray]]:
    """Seconds of every image by every way, and its scores (N,)."""
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    scores = {way: np.empty(len(pixels), np.float32) for way in ways}
    for run in ways.values():
        for _ in range(WARM_UP):
            run(pixels[:1])
    for number in range(len(pixels)):
        for way, run in ways.items():
            start = time.perf_counter()
            scores[way][number] = run(pixels[number][None])["score"][0]
            seconds[way].append(time.perf_counter() - start)
    return seconds, scores


if __name__ == "__main__":
    typer.run(main)
