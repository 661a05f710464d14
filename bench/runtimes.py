"""Speed and decisions of the runtimes for CPUs on published models, such as one in two precisions.

    python -m bench.runtimes REPOSITORY DATA NAME...

DATA are labelled images. Each is inspected by all in turns, on all cores as if it were alone and on
one thread as if there were others; speed and decisions are compared with those of ONNX Runtime on
the first model. One thread is measured in CPU time, all cores by the clock.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import typer
from sklearn.metrics import roc_auc_score

from bench.support.figures import keep
from bench.support.servers import ROOT, Served
from onegauge.export.precision import to_int8
from onegauge.service.model.backends import onnx, openvino
from onegauge.service.model.backends.embedded import Run
from onegauge.service.model.repository import served_version
from onegauge.training.data.dataset import Picture, readable
from onegauge.training.data.dataset import test_images as labelled_images

WARM_UP = 5
PICTURES = sorted((ROOT / "docs" / "samples").glob("*.jpg"))
TURNS = 30
THREAD, CORES = "one thread", "all cores"
CLOCKS = {THREAD: time.process_time, CORES: time.perf_counter}
Way: TypeAlias = tuple[str, str, str]  # model, runtime, cores


def main(repository: Path, data: Path, names: list[str], every: int = 1) -> None:
    """Measure on every so many-th image, print a table, keep the figures."""
    models = {name: served_version(repository / name) for name in names}
    images = labelled_images(data)[::every]
    size = models[names[0]].contract.height
    read = list(readable([image.path for image in images], size))
    kept = [i for i, (_, picture) in enumerate(read) if isinstance(picture, Picture)]
    pixels = np.concatenate([read[i][1].pixels for i in kept])  # (N, H, W, 3)
    anomalous = np.array([images[i].anomalous for i in kept])
    ways = runtimes({name: stored.model_file() for name, stored in models.items()})
    seconds, scores = take_turns(ways, pixels)
    rows: dict[str, dict[str, Any]] = {}
    for (name, runtime, cores), found in scores.items():
        way, beside = (name, runtime, cores), (names[0], "ONNX Runtime", cores)
        flagged = found >= 1
        rows[", ".join(way)] = row = {
            "ms": round(1000 * median(seconds[way]), 1),
            "speed": round(median(seconds[beside]) / median(seconds[way]), 2),
            "equal_decisions": round(float(np.mean(flagged == (scores[beside] >= 1))), 4),
            "false_alarms": round(float(flagged[~anomalous].mean()), 4),
            "misses": round(float(1 - flagged[anomalous].mean()), 4),
            "pooled_auroc": round(100 * roc_auc_score(anomalous, found), 2),
        }
        sys.stdout.write(f"{name:12} {runtime:13} {cores:11} {row}\n")
    keep(f"runtimes with {', '.join(names)}", rows)


def measure() -> dict[str, Any]:
    """How many times faster the bundled model is in int8 on one thread, beside the fastest in fp32.

    Not calibrated again: that moves no time.
    """
    full = Served().file
    size = served_version(full.parents[1]).contract.height
    read = readable(PICTURES, size)
    pixels = np.concatenate([p.pixels for _, p in read if isinstance(p, Picture)])
    with tempfile.TemporaryDirectory() as folder:
        smaller = Path(folder) / "int8.onnx"
        to_int8(full, smaller, pixels)
        ways = runtimes({"fp32": full, "int8": smaller})
    ways = {way: run for way, run in ways.items() if way[2] == THREAD}
    seconds, _ = take_turns(ways, np.resize(pixels, (TURNS, *pixels.shape[1:])))
    of = {
        precision: min(median(times) for way, times in seconds.items() if way[0] == precision)
        for precision in ("fp32", "int8")
    }
    return {
        "int8_or_bf16_of_fp32": round(of["fp32"] / of["int8"], 2),
        "ms": {", ".join(way[:2]): round(1000 * median(s), 2) for way, s in seconds.items()},
    }


def runtimes(models: dict[str, Path]) -> dict[Way, Run]:
    """All ways to inspect."""
    found = {}
    for name, model in models.items():
        for runtime, library in (("ONNX Runtime", onnx), ("OpenVINO", openvino)):
            found[name, runtime, THREAD] = library.compile_model(model, 1).beside
            found[name, runtime, CORES] = library.compile_model(model, 0).alone
    return found


def take_turns(
    ways: dict[Way, Run], pixels: np.ndarray
) -> tuple[dict[Way, list[float]], dict[Way, np.ndarray]]:
    """Seconds of every image by every way, and its scores (N,)."""
    seconds: dict[Way, list[float]] = {way: [] for way in ways}
    scores = {way: np.empty(len(pixels), np.float32) for way in ways}
    for run in ways.values():
        for _ in range(WARM_UP):
            run(pixels[:1])
    for number in range(len(pixels)):
        for way, run in ways.items():
            clock = CLOCKS[way[2]]
            start = clock()
            scores[way][number] = run(pixels[number][None])["score"][0]
            seconds[way].append(clock() - start)
    return seconds, scores


if __name__ == "__main__":
    typer.run(main)
