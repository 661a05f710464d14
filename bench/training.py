"""What a training takes beside the bare loop over its images.

    python -m bench.training

loop        each image decoded, resized and seen by the backbone, batch by batch, as by torch
by graph    the same by the graph of the backbone that a training runs, image by image
training    `onegauge train` of the default gauge on the same images, from the command to its end

Each in a process of its own, in turns, in time of the CPU, on rendered products.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, Literal

import numpy as np
import torch
import typer

from bench.support.apart import apart
from bench.support.figures import keep, spread
from bench.support.servers import ROOT
from demo.products.tree import write_tree
from onegauge.service.imaging.image import read_image
from onegauge.training.backbones.backbone import load_backbone
from onegauge.training.backbones.compiled import Compiled
from onegauge.training.config import TrainConfig
from onegauge.training.data.dataset import training_images

SIDE = 384  # of the rendered pictures
PER_PRODUCT, ROUNDS = 80, 1


def main(per_product: int = PER_PRODUCT, rounds: int = ROUNDS) -> None:
    """Measure, print, keep the figures."""
    found = measure(per_product, rounds)
    sys.stdout.write("\n".join(f"{what}: {figure}" for what, figure in found.items()) + "\n")
    keep("training", found)


def measure(per_product: int = PER_PRODUCT, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds of the CPU of both, and how much of a training the loop is."""
    with TemporaryDirectory() as folder:
        data, out = Path(folder) / "data", Path(folder) / "run"
        counts = {"train": per_product, "test_good": 0, "test_defective": 0}
        images = write_tree(data, **counts, seed=0, size=SIDE)
        loops, graphs, trainings = [], [], []
        for number in range(rounds):
            loops.append(apart(loop, data, "torch").result())
            graphs.append(apart(loop, data, "graph").result())
            trainings.append(trained(data, out / str(number)))
    return {
        "images": images,
        "loop_s": spread(loops, 1),
        "loop_by_graph_s": spread(graphs, 1),
        "training_s": spread(trainings, 1),
        "loop_of_training": spread([a / b for a, b in zip(loops, trainings, strict=True)]),
        "graph_of_training": spread([a / b for a, b in zip(graphs, trainings, strict=True)]),
    }


def loop(data: Path, runtime: Literal["torch", "graph"]) -> float:
    """Seconds of the CPU, without those of its start and of making the graph."""
    config = TrainConfig(data, data)
    backbone = load_backbone(config.backbone, config.stages, image_size=config.image_size)
    sides, files = (config.image_size, config.image_size), training_images(data)
    see: Callable[[torch.Tensor], object] = backbone
    if runtime == "graph":
        see = Compiled.of(backbone, [torch.zeros(1, *sides, 3, dtype=torch.uint8)])
    start = process_time()
    with torch.inference_mode():
        for first in range(0, len(files), config.batch_size):
            batch = files[first : first + config.batch_size]
            pixels = [read_image(f.read_bytes(), sides, max_pixels=10**8).pixels for f in batch]
            see(torch.from_numpy(np.stack(pixels)))
    return process_time() - start


def trained(data: Path, out: Path) -> float:
    """Seconds of the CPU of the command and all that it starts."""
    command = [sys.executable, "-m", "onegauge", "train", "--data", data, "--out", out]
    before = children_s()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return children_s() - before


def children_s() -> float:
    """Seconds of the CPU of processes that this one started, once they have ended."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    typer.run(main)
