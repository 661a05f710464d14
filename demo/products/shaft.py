"""A turned shaft with a knurled grip, lying across the picture."""

from __future__ import annotations

import numpy as np

from demo.products.defects import dent, particle, place, rust, scratch
from demo.products.geometry import Pose, blob, cover, frame
from demo.products.light import paint, profile, relief, rgb, shadow, soften, tint
from demo.products.product import Product, Scene
from onegauge.training.data.noise import fractal_noise

HALF, GRIP = 0.29, 0.25  # half the diameter, half the length of the knurl
TEETH = 24  # to a side of the image


def draw(rng: np.random.Generator, size: int) -> Scene:
    """A cylinder along x: round shading, diamonds on the grip, turning marks beside it."""
    y, x = frame(size)
    v, u = Pose.draw(rng, turn=0.012).part(y, x)
    body = cover(np.abs(v) - HALF)
    bench = tint(rng, (0.20, 0.17, 0.15), 0.01) * (1 - 0.6 * shadow(body, 0.03))[..., None]
    bench = bench * (0.9 + 0.2 * fractal_noise(rng, size, size, scale=size * 0.03))[..., None]
    height = np.clip(v / HALF, -0.98, 0.98)
    light = rounded(height) * texture(rng, u, np.arcsin(height) * HALF)
    steel = tint(rng, (0.50, 0.52, 0.55), 0.018) * light[..., None]
    return Scene(paint(bench, np.clip(steel, 0, 1), body), bench, cover(np.abs(v) - 0.8 * HALF))


def rounded(height: np.ndarray) -> np.ndarray:
    """Brightness (S, S) over a polished cylinder; `height` runs from -1 (upper edge) to 1."""
    facing = np.sqrt(1 - height**2)
    return 0.18 + 0.72 * facing + 0.55 * np.exp(-(((height + 0.42) / 0.16) ** 2)) - 0.18 * height


def texture(rng: np.random.Generator, u: np.ndarray, arc: np.ndarray) -> np.ndarray:
    """Brightness (S, S), about 1, of knurl, relief grooves and turning marks; `arc` goes round."""
    phase = rng.uniform(0, 1)
    diamonds = wave((0.6 * u + arc) * TEETH) + wave((0.6 * u - arc) * TEETH + phase)
    grip = cover(np.abs(u) - GRIP, 3)
    groove = np.clip(1 - np.abs(np.abs(u) - GRIP - 0.02) / 0.018, 0, 1) ** 0.5
    form = relief(0.009 * diamonds * grip - 0.014 * groove, gloss=0.15)
    turned = 1 + 0.035 * profile(rng, u, 1 / 220) + 0.02 * profile(rng, u, 1 / 50)
    return (0.25 + 0.75 * form) * (turned * (1 - grip) + 0.85 * grip) * (1 - 0.35 * groove)


def wave(position: np.ndarray) -> np.ndarray:
    """A triangle wave of period 1, -0.5 to 0.5."""
    return 2 * np.abs(np.mod(position, 1) - 0.5) - 0.5


def worn_knurl(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A place where the diamonds were rolled flat."""
    y, x = rng.uniform(-0.15, 0.15), rng.uniform(-0.16, 0.16)
    distance = blob(rng, scene.size, (y, x), rng.uniform(0.05, 0.11), 0.12)
    flat = np.stack([soften(channel, 0.025) for channel in np.moveaxis(scene.image, -1, 0)], -1)
    return paint(scene.image, np.clip(flat * rng.uniform(1.1, 1.35), 0, 1), cover(distance, 8))


def swarf(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A curl of cut metal left on the shaft."""
    size, (y, x) = scene.size, place(scene, rng)
    v, u = frame(size)
    v, u = Pose(rng.uniform(0, np.pi), 1.0, y, x).part(v, u)
    bow = rng.uniform(0.035, 0.06)
    ring = np.hypot(v, 0.7 * u) - bow + 0.12 * bow * np.arctan2(v, u)
    body = cover(np.abs(ring) - rng.uniform(0.007, 0.010)) * cover(-u - 0.6 * bow)
    shaded = scene.image * (1 - 0.6 * shadow(body, 0.014))[..., None]
    form = relief(soften(body, 0.006) * 0.012, gloss=0.7)
    return paint(shaded, np.clip(rgb(0.72, 0.68, 0.60) * form[..., None], 0, 1), body)


SHAFT = Product(
    draw,
    {
        "dent": dent,
        "particle": particle,
        "rust": rust,
        "scratch": scratch,
        "swarf": swarf,
        "worn-knurl": worn_knurl,
    },
)
