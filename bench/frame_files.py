"""What the file of a frame costs, and what JPEG does to scores.

    python -m demo.products --out runs/frames --train 0 --test-good 8 --test-defective 8 --seed 7
    python -m bench.frame_files --data runs/frames

Encoding as `onegauge watch --source` does, with a sensor's noise, and reading as the gateway does
for a model of 256 × 256, in time of this process. Then the scores of the bundled model of each
picture of DATA, as both kinds of file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Annotated

import cv2
import numpy as np
import typer

from onegauge import Client
from onegauge.camera.grabber import COMPACT, LOSSLESS, Encoding
from onegauge.camera.source import Pixels
from onegauge.client import Named
from onegauge.files import images_below
from onegauge.service.imaging.image import read_image
from rig.gateway_process import ROOT, gateway_process

SIZES = ((1280, 1024), (2448, 2048))
NOISE = 2.0  # grey levels
TURNS = 5


def main(data: Annotated[Path, typer.Option()]) -> None:
    """Two tables."""
    files = sorted(file for file in images_below(data) if "ground_truth" not in file.parts)
    sys.stdout.write("| | Encode | Read | Megabytes |\n|---|---|---|---|\n")
    for width, height in SIZES:
        picture = cv2.resize(cv2.imread(str(files[0])), (width, height))
        noise = np.random.default_rng(0).normal(0, NOISE, picture.shape)
        frame = np.clip(picture + noise, 0, 255).astype(np.uint8)
        for encoding in (COMPACT, LOSSLESS):
            encode, read, size = cost(frame, encoding)
            row = f"{encode * 1e3:.0f} ms | {read * 1e3:.0f} ms | {size / 1e6:.1f}"
            sys.stdout.write(f"| {width} × {height}, {encoding.suffix} | {row} |\n")
    moved = np.abs([compact - lossless for lossless, compact in scores(files)])
    sys.stdout.write(f"scores move by {np.median(moved):.3f}, {moved.max():.3f} at most\n")


def cost(frame: Pixels, encoding: Encoding) -> tuple[float, float, int]:
    """Seconds to encode and to read, and bytes."""
    encodes, reads = [], []
    for _ in range(TURNS):
        begin = process_time()
        file = encoding.bytes_of(frame)
        middle = process_time()
        read_image(file, (256, 256), max_pixels=frame.size)
        encodes.append(middle - begin)
        reads.append(process_time() - middle)
    return median(encodes), median(reads), len(file)


def scores(files: list[Path]) -> Iterator[tuple[float, float]]:
    """Of each picture whose scores are near the threshold: as PNG, and as JPEG."""
    with (
        gateway_process(ROOT / "model_repository", ONEGAUGE_API_KEYS="off") as gateway,
        Client(gateway.url) as client,
    ):
        for file in files:
            frame = cv2.imread(str(file))
            both = [Named(f"frame{e.suffix}", e.bytes_of(frame)) for e in (LOSSLESS, COMPACT)]
            lossless, compact = (r.score for r in client.inspect(both).results)
            if min(lossless, compact) < 2:
                yield lossless, compact


if __name__ == "__main__":
    typer.run(main)
