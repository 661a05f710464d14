"""Smooth random fields, which procedural matter is made of."""

from __future__ import annotations

import numpy as np
from PIL import Image


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, *, scale: float, octaves: int = 4
) -> np.ndarray:
    """Smooth noise (H, W) float32 in 0..1 whose coarsest blobs are about `scale` pixels wide."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = max(scale / 2**octave, 1.0)
        rows, columns = (max(int(np.ceil(side / cell)) + 1, 2) for side in (height, width))
        grid = Image.fromarray(rng.random((rows, columns), np.float32))
        window = (0.0, 0.0, min(width / cell, columns), min(height / cell, rows))
        layer = grid.resize((width, height), Image.Resampling.BICUBIC, box=window)
        total += np.asarray(layer) / 2**octave
    total -= total.min()
    return total / max(float(total.max()), 1e-6)
