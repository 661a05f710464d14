"""A glazed stoneware tile with dark and white speckles."""

from __future__ import annotations

import numpy as np

from demo.products.defects import chip, crack, place, stain
from demo.products.geometry import Pose, blob, box, cover, frame
from demo.products.light import paint, relief, rgb, shadow, tint
from demo.products.product import Product, Scene
from onegauge.training.data.noise import fractal_noise


def draw(rng: np.random.Generator, size: int) -> Scene:
    """The tile on the sorting table, its edges rounded by the glaze."""
    y, x = frame(size)
    v, u = Pose.draw(rng, turn=0.01).part(y, x)
    outline = box(v, u, 0.90, 0.90, 0.02)
    body = cover(outline)
    table = tint(rng, (0.20, 0.19, 0.18), 0.01) * (1 - 0.6 * shadow(body, 0.015))[..., None]
    waves = fractal_noise(rng, size, size, scale=size * 0.3, octaves=2)
    edge = -0.7 * np.clip(outline + 0.02, 0, None)
    form = relief(edge + 0.006 * waves, gloss=0.25, sharpness=40)
    glaze = np.clip(speckled(rng, size) * form[..., None], 0, 1)
    return Scene(paint(table, glaze, body), table, body)


def speckled(rng: np.random.Generator, size: int) -> np.ndarray:
    """The glaze's colour (S, S, 3)."""
    mottle = fractal_noise(rng, size, size, scale=size * 0.15)
    clay = tint(rng, (0.74, 0.68, 0.58), 0.015) * (0.93 + 0.14 * mottle)[..., None]
    clay = paint(clay, rgb(0.90, 0.88, 0.83), specks(rng, size, 0.030, 1.9))
    return paint(clay, rgb(0.35, 0.25, 0.17), 0.9 * specks(rng, size, 0.022, 1.7))


def specks(rng: np.random.Generator, size: int, scale: float, rarity: float) -> np.ndarray:
    """Cover (S, S) of grains of oxide: where noise exceeds `rarity` standard deviations."""
    noise = fractal_noise(rng, size, size, scale=size * scale, octaves=2)
    return np.clip((noise - noise.mean() - rarity * noise.std()) * 14, 0, 1)


def spall(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Glaze broken away from the face: pale body with a raised rim."""
    size = scene.size
    distance = blob(rng, size, place(scene, rng), rng.uniform(0.03, 0.07), 0.22)
    grain = fractal_noise(rng, size, size, scale=size * 0.02)
    pit = relief(-0.012 * cover(distance, 4) + 0.006 * grain)
    bisque = rgb(0.72, 0.47, 0.34) * (pit * (0.8 + 0.4 * grain))[..., None]
    return paint(scene.image, np.clip(bisque, 0, 1), cover(distance) * scene.surface)


def pinholes(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Craters of gas that left the glaze in firing."""
    y, x = place(scene, rng)
    damaged = scene.image
    for _ in range(int(rng.integers(5, 10))):
        centre = (y + rng.normal(0, 0.045), x + rng.normal(0, 0.045))
        distance = blob(rng, scene.size, centre, rng.uniform(0.009, 0.016), 0.05)
        lit = damaged * relief(-0.016 * cover(distance, 4), gloss=0.3)[..., None]
        damaged = paint(lit, damaged * 0.25, cover(distance + 0.003, 2))
    return np.clip(damaged, 0, 1)


def bare_glaze(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A patch that the glaze ran off: without speckles, dull and reddish."""
    distance = blob(rng, scene.size, place(scene, rng), rng.uniform(0.05, 0.11), 0.15)
    colour = rgb(0.66, 0.48, 0.36) * rng.uniform(0.85, 1.1)
    return paint(scene.image, colour, 0.9 * cover(distance, 8) * scene.surface)


TILE = Product(
    draw,
    {
        "bare-glaze": bare_glaze,
        "chip": chip,
        "crack": crack,
        "pinholes": pinholes,
        "spall": spall,
        "stain": stain,
    },
)
