"""Speed and decisions of the runtimes for CPUs, and of their precisions, on one published model.

    python -m bench.runtimes REPOSITORY NAME DATA

DATA are labelled images. Speed is of one image, in turns, as a ratio to ONNX Runtime; decisions
are compared with its.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import openvino
import typer
from sklearn.metrics import roc_auc_score

from service.repository import served_version
from training.dataset import Picture, readable
from training.dataset import test_images as labelled_images

BATCH = 8
TURNS = 30
Score = Callable[[np.ndarray], np.ndarray]


def main(repository: Path, name: str, data: Path) -> None:
    """One line for each runtime."""
    stored = served_version(repository / name)
    images = labelled_images(data)
    read = list(readable([image.path for image in images], stored.contract.height))
    kept = [i for i, (_, picture) in enumerate(read) if isinstance(picture, Picture)]
    pixels = np.concatenate([read[i][1].pixels for i in kept])
    anomalous = np.array([images[i].anomalous for i in kept])
    runtimes = {"ONNX Runtime": onnx_runtime(stored.model_file())} | {
        f"OpenVINO {precision}": open_vino(stored.model_file(), precision)
        for precision in ("f32", "bf16")
    }
    times = take_turns(runtimes, pixels)
    reference = scores(runtimes["ONNX Runtime"], pixels) >= 1
    for label, run in runtimes.items():
        found = scores(run, pixels)
        ratio = median(times["ONNX Runtime"]) / median(times[label])
        equal = np.mean((found >= 1) == reference)
        auroc = 100 * roc_auc_score(anomalous, found)
        sys.stdout.write(
            f"{label:14} {ratio:5.2f} times the speed  {equal:.2%} equal decisions"
            f"  AUROC {auroc:.2f}\n"
        )


def onnx_runtime(model: Path) -> Score:
    """As the gateway runs it, less what it does about threads that wait."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["score"], {"image": images})[0]


def open_vino(model: Path, precision: str) -> Score:
    """In a precision that is only a hint where the processor has it not."""
    hint = {"INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.Core().compile_model(model, "CPU", hint)
    return lambda images: compiled({"image": images})["score"]


def take_turns(runtimes: dict[str, Score], pixels: np.ndarray) -> dict[str, list[float]]:
    """Seconds of one image; the first turn warms up."""
    times: dict[str, list[float]] = {label: [] for label in runtimes}
    for turn in range(1 + TURNS):
        for label, run in runtimes.items():
            start = time.perf_counter()
            run(pixels[turn % len(pixels)][None])
            if turn:
                times[label].append(time.perf_counter() - start)
    return times


def scores(run: Score, pixels: np.ndarray) -> np.ndarray:
    """Scores (N,) of images (N, H, W, 3)."""
    return np.concatenate([run(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)])


if __name__ == "__main__":
    typer.run(main)
