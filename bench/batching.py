"""Does it pay to join the images of several requests into one batch, in an embedded backend?

    python -m bench.batching

Time and CPU time of an image with the bundled model: in batches of 1 to 8 over all cores, and one
image on each core at the same time, as a busy gateway computes. In turns, and as ratios to batches
of 1. Time is what counts at rest, CPU time while all cores have work.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import typer

from onegauge.cores import cores
from onegauge.service.model.backends.embedded import Compiled, Run
from onegauge.service.model.repository import served_version
from onegauge.service.settings import default_repository

BATCHES = (1, 2, 4, 8)
BESIDE = "one on each core"
IMAGES = 8  # in each turn
TURNS = 25


def main() -> None:
    """Both runtimes with the bundled model."""
    from onegauge.service.model.backends import onnx, openvino

    stored = served_version(default_repository() / "onegauge")
    shape = (IMAGES, stored.contract.height, stored.contract.width, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for name, runtime in (("ONNX Runtime", onnx), ("OpenVINO", openvino)):
        spent = measure(runtime.compile_model(stored.model_file(), 0), images)
        first = next(iter(spent.values()))
        sys.stdout.write(f"{name}: {first[0]:.1f} ms for an image, {first[1]:.1f} of CPU time\n")
        for way, found in spent.items():
            wall, cpu = found / first
            sys.stdout.write(f"  {way:20} {wall:.2f} of the time, {cpu:.2f} of the CPU time\n")


def measure(compiled: Compiled, images: np.ndarray) -> dict[str, np.ndarray]:
    """Milliseconds and those of CPU time for an image, medians (2,), by how images are computed."""
    with ThreadPoolExecutor(cores()) as workers:
        ways: dict[str, Callable[[], object]] = {
            f"batches of {size}": partial(
                _in_turn, compiled.alone, np.split(images, IMAGES // size)
            )
            for size in BATCHES
        }
        ways[BESIDE] = lambda: list(workers.map(compiled.beside, np.split(images, IMAGES)))
        spent: dict[str, list[np.ndarray]] = {way: [] for way in ways}
        for _ in range(1 + TURNS):  # the first warms up
            for way, compute in ways.items():
                start = _now()
                compute()
                spent[way].append(1000 * (_now() - start) / IMAGES)
    return {way: np.median(found[1:], axis=0) for way, found in spent.items()}


def _in_turn(run: Run, batches: list[np.ndarray]) -> None:
    for batch in batches:
        run(batch)


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    typer.run(main)
