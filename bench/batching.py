"""Does it pay to join the images of several requests into one batch, in an embedded backend?

    python -m bench.batching

Time of an image in batches of 1 to 8, in turns, as a ratio to batches of 1.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import numpy as np
import typer

from onegauge.service.model.backends.embedded import Run
from onegauge.service.model.repository import served_version
from onegauge.service.settings import default_repository

BATCHES = (1, 2, 4, 8)
IMAGES = 8  # in each turn
TURNS = 25


def main() -> None:
    """Both runtimes with the bundled model and all cores."""
    from onegauge.service.model.backends import onnx, openvino

    stored = served_version(default_repository() / "onegauge")
    shape = (max(BATCHES), stored.contract.height, stored.contract.width, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for name, runtime in (("ONNX Runtime", onnx), ("OpenVINO", openvino)):
        times = measure(runtime.compile_model(stored.model_file(), 0).alone, images)
        ratios = [f"{size}: {median(times[size]) / median(times[1]):.2f}" for size in BATCHES]
        sys.stdout.write(f"{name}  {median(times[1]):.1f} ms for an image;  {'  '.join(ratios)}\n")


def measure(run: Run, images: np.ndarray) -> dict[int, list[float]]:
    """Milliseconds for each image by size of the batch; the first turn warms up."""
    times: dict[int, list[float]] = {size: [] for size in BATCHES}
    for turn in range(1 + TURNS):
        for size in BATCHES:
            start = time.perf_counter()
            for i in range(0, IMAGES, size):
                run(images[i : i + size])
            if turn:
                times[size].append(1000 * (time.perf_counter() - start) / IMAGES)
    return times


if __name__ == "__main__":
    typer.run(main)
