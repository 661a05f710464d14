"""Speed and decisions of the runtimes for CPUs on one published model.

    python -m bench.runtimes REPOSITORY NAME DATA

DATA are labelled images. Each is inspected by all in turns, on all cores as if it were alone and on
one thread as if there were others; decisions are compared with those of ONNX Runtime.
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
from onegauge.service.model.backends import onnx, openvino
from onegauge.service.model.backends.embedded import Run
from onegauge.service.model.repository import served_version
from onegauge.training.data.dataset import Picture, readable
from onegauge.training.data.dataset import test_images as labelled_images

WARM_UP = 5


def main(repository: Path, name: str, data: Path) -> None:
    """Measure, print a table, keep the figures."""
    stored = served_version(repository / name)
    images = labelled_images(data)
    read = list(readable([image.path for image in images], stored.contract.height))
    kept = [i for i, (_, picture) in enumerate(read) if isinstance(picture, Picture)]
    pixels = np.concatenate([read[i][1].pixels for i in kept])  # (N, H, W, 3)
    anomalous = np.array([images[i].anomalous for i in kept])
    seconds, scores = take_turns(runtimes(stored.model_file()), pixels)
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
    keep(f"runtimes with {name}", rows)


def runtimes(model: Path) -> dict[tuple[str, str], Run]:
    """All ways to inspect, by runtime and cores."""
    found = {}
    for name, runtime in (("ONNX Runtime", onnx), ("OpenVINO", openvino)):
        compiled = runtime.compile_model(model, 0)
        found[name, "one thread"] = compiled.beside
        found[name, "all cores"] = compiled.alone
    return found


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
