"""A turned steel ring on a dark mat."""

from __future__ import annotations

import numpy as np

from demo.products.defects import burr, chip, dent, particle, rust, scratch
from demo.products.geometry import Pose, cover, frame
from demo.products.light import paint, profile, relief, shadow, streaks, tint
from demo.products.product import Product, Scene
from onegauge.training.data.noise import fractal_noise

OUTER, INNER = 0.40, 0.21


def draw(rng: np.random.Generator, size: int) -> Scene:
    """The ring lies flat; its grooves throw the lamp back in two lobes."""
    y, x = frame(size)
    v, u = Pose.draw(rng, turn=0.0).part(y, x)
    radius, theta = np.hypot(v, u), np.arctan2(y, x)
    body = cover(np.maximum(radius - OUTER, INNER - radius))
    mat = ground(rng, size) * (1 - 0.65 * shadow(body, 0.025))[..., None]
    metal = tint(rng, (0.60, 0.61, 0.62), 0.025) * turned(rng, radius, theta)[..., None]
    return Scene(paint(mat, np.clip(metal, 0, 1), body), mat, body)


def ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """A rubber mat (S, S, 3)."""
    grain = fractal_noise(rng, size, size, scale=size * 0.02, octaves=2)
    return tint(rng, (0.13, 0.15, 0.18), 0.012) * (0.85 + 0.3 * grain)[..., None]


def turned(rng: np.random.Generator, radius: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Brightness (S, S) of the turned face with its chamfers and the groove in its middle."""
    grooves = 0.035 * profile(rng, radius, 1 / 160) + 0.03 * profile(rng, radius, 1 / 40)
    lobes = 0.34 * np.abs(np.cos(theta - 0.85 - rng.normal(0, 0.04))) ** 5
    chamfer = np.minimum(OUTER - radius, radius - INNER).clip(0, 0.02)
    seat = 0.016 * np.clip(np.abs(radius - 0.305) / 0.012 - 1, -1, 0)
    form = relief(chamfer * 0.9 + seat, gloss=0.3, sharpness=30)
    return (0.85 + grooves + lobes) * form + 0.012 * streaks(rng, len(radius), 0.02)


RING = Product(
    draw,
    {
        "burr": burr,
        "chip": chip,
        "dent": dent,
        "particle": particle,
        "rust": rust,
        "scratch": scratch,
    },
)
