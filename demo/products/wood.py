"""A planed plank of clear oak: grain along x, no knots."""

from __future__ import annotations

import numpy as np

from demo.products.defects import line, particle, place, scratch, stain
from demo.products.geometry import Pose, blob, cover, frame, stroke, wander
from demo.products.light import paint, relief, rgb, streaks, tint
from demo.products.product import Product, Scene
from onegauge.training.data.noise import fractal_noise


def draw(rng: np.random.Generator, size: int) -> Scene:
    """Annual rings cut lengthwise, pores as short dark strokes."""
    y, x = frame(size)
    v, u = Pose.draw(rng, turn=0.02).part(y, x)
    sway = fractal_noise(rng, size, size, scale=size * 0.7, octaves=2)
    depth = rng.uniform(0, 1) + (7 + rng.normal(0, 0.5)) * v + 2.2 * sway + 0.3 * u
    plank = grain(rng, depth, size)
    return Scene(plank, plank * 0.15, np.ones((size, size), np.float32))


def grain(rng: np.random.Generator, depth: np.ndarray, size: int) -> np.ndarray:
    """The face (S, S, 3) of wood that was `depth` years old at each pixel."""
    ring = np.mod(depth, 1)
    late = ring**3 * np.clip((1 - ring) * 12, 0, 1)  # dark late wood, then a sharp new year
    pores = np.clip(streaks(rng, size, 0.05) - 1.2, 0, 1)
    fibres = 0.03 * streaks(rng, size, 0.12)
    pale, dark = tint(rng, (0.76, 0.58, 0.39), 0.02), tint(rng, (0.53, 0.35, 0.20), 0.015)
    wood = pale + (dark - pale) * np.clip(0.75 * late + 0.5 * pores, 0, 1)[..., None]
    return np.clip(wood * (1 + fibres)[..., None], 0, 1).astype(np.float32)


def knot(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """The foot of a branch: dark rings of its own, the grain darker around it."""
    size, radius = scene.size, rng.uniform(0.03, 0.07)
    distance = blob(rng, size, place(scene, rng), radius, 0.10)
    depth = np.clip(1 + distance / radius, 0, 3)  # 0 in the middle, 1 at the edge
    rings = 0.75 + 0.25 * np.cos(depth * rng.uniform(14, 20))
    mottle = fractal_noise(rng, size, size, scale=size * 0.03)
    heart = rgb(0.36, 0.21, 0.11) * (rings * (0.7 + 0.6 * mottle))[..., None]
    halo = scene.image * (1 - 0.35 * np.exp(-(((depth - 1).clip(0) / 0.3) ** 2)))[..., None]
    return paint(halo, heart, cover(distance, 5))


def split(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A drying crack along the grain."""
    path = wander(rng, place(scene, rng), rng.normal(0, 0.08), rng.uniform(0.2, 0.5), 0.09)
    taper = np.sin(np.linspace(0.1, np.pi - 0.1, 12)) * rng.uniform(0.010, 0.018)
    gap = stroke(scene.size, path, taper)
    return paint(scene.image * relief(-gap * 0.004)[..., None], scene.beneath, 0.92 * gap)


def worm_holes(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A few round holes of a beetle, with a pale rim."""
    y, x = place(scene, rng)
    damaged = scene.image
    for _ in range(int(rng.integers(3, 6))):
        centre = (y + rng.normal(0, 0.05), x + rng.normal(0, 0.07))
        distance = blob(rng, scene.size, centre, rng.uniform(0.012, 0.02), 0.08)
        rim = paint(damaged, np.clip(damaged * 1.2, 0, 1), cover(distance - 0.006, 2))
        damaged = paint(rim, scene.beneath, cover(distance))
    return damaged


def burn(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A scorch mark of the saw across the grain."""
    mark = line(scene, rng, length=(0.2, 0.45), width=(0.03, 0.06), bend=0.05)
    smoke = fractal_noise(rng, scene.size, scene.size, scale=scene.size * 0.05)
    return paint(scene.image, scene.image * 0.35, mark * np.clip(0.3 + smoke, 0, 1))


WOOD = Product(
    draw,
    {
        "burn": burn,
        "knot": knot,
        "particle": particle,
        "scratch": scratch,
        "split": split,
        "stain": stain,
        "worm-holes": worm_holes,
    },
)
