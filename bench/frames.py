"""What the gate of `onegauge watch --source` refuses: of normal pictures, and of spoilt ones.

    python -m bench.frames --data shared/data/mixedline --data shared/data/secondline

Each folder below DATA is a product, with its normal pictures in folders `good`. The gate sees them
in random order: a product after the other, each with a gate of its own, and all products mixed.
Spoilt pictures, with the noise of a sensor on top, are shown to a gate that has seen all of these.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from onegauge.camera.quality import Bounds, Gate
from onegauge.camera.source import Pixels

NOISE = 2.0  # grey levels, of a spoilt picture
GAMMA = 2.2
EVERY = 5  # pictures, of which one is spoilt


def main(data: Annotated[list[Path], typer.Option()]) -> None:
    """Shares that are refused, in two tables."""
    products = {product.name: normal(product) for folder in data for product in folder.iterdir()}
    products = {name: files for name, files in products.items() if files}
    alone = measured(list(products.values()))
    mixed = measured([sum(products.values(), [])])
    sys.stdout.write("| | Each product alone | All mixed |\n|---|---|---|\n")
    for kind in alone:
        sys.stdout.write(f"| {kind} | {alone[kind]:.2%} | {mixed[kind]:.2%} |\n")


def normal(product: Path) -> list[Path]:
    return sorted(file for file in product.glob("*/good/*") if file.is_file())


def measured(scene: list[list[Path]]) -> dict[str, float]:
    """The share that is refused of each kind, over all gates of a scene."""
    refused, shown = Counter[str](), Counter[str]()
    for files in scene:
        files = random.Random(0).sample(files, len(files))
        gate = Gate(Bounds())
        for file in files:
            refused["normal"] += gate.judge(cv2.imread(str(file)))[1] is not None
            shown["normal"] += 1
        for file in files[::EVERY]:
            for kind, spoilt in all_spoilt(cv2.imread(str(file))):
                refused[kind] += deepcopy(gate).judge(spoilt)[1] is not None
                shown[kind] += 1
    return {kind: refused[kind] / shown[kind] for kind in shown}


def all_spoilt(picture: Pixels) -> Iterator[tuple[str, Pixels]]:
    """By what was done; lengths are shares of the longer side."""
    side = max(picture.shape)
    for share in (0.005, 0.01, 0.02):
        yield f"out of focus, σ {share:.1%}", noisy(cv2.GaussianBlur(picture, (0, 0), share * side))
    for share in (0.02, 0.05):
        yield f"moved by {share:.0%}", noisy(moved(picture, int(share * side)))
    for light in (1 / 4, 1 / 8, 1 / 16, 1 / 64, 4, 8):
        name = f"{light:g} times" if light > 1 else f"1/{1 / light:g} of"
        yield f"{name} the light", noisy(lit(picture, light))


def moved(picture: Pixels, pixels: int) -> Pixels:
    return cv2.filter2D(picture, -1, np.full((1, pixels), 1 / pixels, np.float32))


def lit(picture: Pixels, light: float) -> Pixels:
    linear = (np.arange(256) / 255) ** GAMMA
    curve = np.clip(linear * light, 0, 1) ** (1 / GAMMA) * 255
    return cv2.LUT(picture, curve.round().astype(np.uint8))


def noisy(picture: Pixels) -> Pixels:
    noise = np.random.default_rng(0).normal(0, NOISE, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    typer.run(main)
