"""Time and peak memory of the pixel metrics on 10,000 synthetic images of 256 x 256 pixels.

python -m bench.pixel_metrics
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import typer

from onegauge.training.evaluation.pixels import pixel_metrics

IMAGES, PRODUCTS, MAP, SIZE = 10_000, 15, 64, 256
MEBIBYTE = 2**10  # in units of ru_maxrss, KiB


def main() -> None:
    """Measure and print one JSON object; the maps themselves are part of neither figure."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(20, SIZE - 20, (IMAGES, 2))
    radii = np.where(np.arange(IMAGES) % 2, rng.uniform(2, 60, IMAGES), 0)  # every other is normal
    maps = np.empty((IMAGES, MAP, MAP), np.float16)
    for i, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        defect = _disc(centre * MAP / SIZE, radius * MAP / SIZE, MAP)
        maps[i] = rng.standard_normal((MAP, MAP)) + 2 * defect
    products = tuple(f"product {i * PRODUCTS // IMAGES}" for i in range(IMAGES))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    metrics = pixel_metrics(maps, lambda i: _disc(centres[i], radii[i], SIZE), products)
    figures = {
        "images": IMAGES,
        "seconds": round(time.perf_counter() - start, 1),
        "peak_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / MEBIBYTE),
        "pooled": metrics["pooled"],
    }
    sys.stdout.write(json.dumps(figures) + "\n")


def _disc(centre: np.ndarray, radius: float, size: int) -> np.ndarray:
    """Bool (size, size)."""
    distance = np.arange(size) - centre[:, None]  # (2, size)
    return np.hypot(*np.ix_(*distance)) < radius


if __name__ == "__main__":
    typer.run(main)
