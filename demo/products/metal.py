"""A sheet of brushed steel that fills the picture."""

from __future__ import annotations

import numpy as np

from demo.products.defects import dent, particle, rust, scratch, stain
from demo.products.geometry import frame
from demo.products.light import streaks, tint
from demo.products.product import Product, Scene


def draw(rng: np.random.Generator, size: int) -> Scene:
    """Fine lines along x, and a broad reflection of the lamp across them."""
    y, x = frame(size)
    lines = 0.030 * streaks(rng, size, 0.06) + 0.024 * streaks(rng, size, 0.25)
    reflection = 0.16 * np.exp(-(((x + 0.12 * y - rng.normal(-0.1, 0.05)) / 0.28) ** 2))
    steel = tint(rng, (0.60, 0.61, 0.63), 0.018) * (0.92 + lines + reflection)[..., None]
    sheet = np.clip(steel, 0, 1).astype(np.float32)
    return Scene(sheet, sheet * 0.1, np.ones((size, size), np.float32))


METAL = Product(
    draw,
    {"dent": dent, "particle": particle, "rust": rust, "scratch": scratch, "stain": stain},
)
