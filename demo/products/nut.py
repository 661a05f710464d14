"""A zinc-plated hexagon nut on a conveyor belt."""

from __future__ import annotations

import numpy as np

from demo.products.defects import burr, chip, crack, dent, rust, scratch
from demo.products.geometry import Pose, cover, frame, hexagon
from demo.products.light import paint, relief, shadow, tint
from demo.products.product import Product, Scene
from onegauge.training.data.noise import fractal_noise

FLATS, WASHER, BORE = 0.345, 0.36, 0.185


def draw(rng: np.random.Generator, size: int) -> Scene:
    """The nut from above: a chamfered hexagon around a threaded bore."""
    y, x = frame(size)
    v, u = Pose.draw(rng, turn=0.05).part(y, x)
    radius = np.hypot(v, u)
    outline = hexagon(v, u, FLATS)
    body = cover(np.maximum(outline, BORE - radius))
    belt = ground(rng, v, u)
    bottom = belt * (1 - 0.6 * shadow(body, 0.03))[..., None]
    bottom = bottom * (1 - 0.55 * cover(radius - BORE))[..., None]
    lit = zinc(rng, radius, outline)
    threaded = thread(rng, v, u, radius)
    image = paint(paint(bottom, lit, body), lit * threaded[..., None], flank(radius))
    return Scene(image, bottom, cover(outline) * cover(BORE - 0.03 - radius))


def ground(rng: np.random.Generator, v: np.ndarray, u: np.ndarray) -> np.ndarray:
    """A green belt (S, S, 3) with a fine ribbing; it moves under the part."""
    size, offset = len(v), rng.uniform(0, 2 * np.pi)
    dirt = fractal_noise(rng, size, size, scale=size * 0.12)
    ribs = relief(0.0012 * np.sin(u * 260 + offset) * np.sin(v * 260))
    return tint(rng, (0.16, 0.27, 0.22), 0.01) * (ribs * (0.85 + 0.3 * dirt))[..., None]


def zinc(rng: np.random.Generator, radius: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """The plated faces (S, S, 3): flat top, chamfer towards the corners, rim of the bore."""
    size = len(radius)
    fall = 0.55 * np.minimum(WASHER - radius, 0) + 0.8 * np.minimum(-0.01 - outline, 0)
    sink = 0.9 * np.minimum(radius - BORE - 0.025, 0)
    plating = fractal_noise(rng, size, size, scale=size * 0.10)
    sparkle = fractal_noise(rng, size, size, scale=size * 0.012, octaves=2)
    form = relief(fall + sink + 0.003 * plating, gloss=0.25)
    shade = form * (0.86 + 0.16 * plating + 0.18 * sparkle)
    return np.clip(tint(rng, (0.63, 0.63, 0.60), 0.02) * shade[..., None], 0, 1).astype(np.float32)


def flank(radius: np.ndarray) -> np.ndarray:
    """Cover (S, S) of the ring in which the thread's flanks are seen."""
    return cover(np.maximum(radius - BORE, BORE - 0.03 - radius))


def thread(
    rng: np.random.Generator, v: np.ndarray, u: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """Brightness (S, S) of the turns of the thread, deeper turns darker."""
    turn = np.arctan2(v, u) / (2 * np.pi)
    turns = np.sin((radius / 0.010 + turn + rng.uniform(0, 1)) * 2 * np.pi)
    facing = 0.75 - 0.35 * (v * -0.74 + u * -0.67) / np.maximum(radius, 0.01)
    return np.clip((0.62 + 0.3 * turns) * facing, 0, 1.2).astype(np.float32)


NUT = Product(
    draw,
    {"burr": burr, "chip": chip, "crack": crack, "dent": dent, "rust": rust, "scratch": scratch},
)
