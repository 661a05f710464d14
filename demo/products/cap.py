"""A fluted plastic screw cap, seen from above."""

from __future__ import annotations

import numpy as np

from demo.products.defects import chip, crack, dent, particle, place, scratch
from demo.products.geometry import Pose, blob, cover, frame, hexagon
from demo.products.light import paint, relief, rgb, shadow, tint
from demo.products.product import Product, Scene, Site
from onegauge.training.data.noise import fractal_noise

RIM, TOP, FLUTES = 0.40, 0.345, 48


def draw(rng: np.random.Generator, size: int) -> Scene:
    """The cap on a white tray: flutes outside, a raised ring and a mark on top."""
    y, x = frame(size)
    pose = Pose.draw(rng, turn=0.06)
    v, u = pose.part(y, x)
    radius, theta = np.hypot(v, u), np.arctan2(v, u)
    outline = radius - RIM - 0.005 * np.cos(FLUTES * theta)
    body = cover(outline)
    tray = tint(rng, (0.80, 0.80, 0.78), 0.012) * (1 - 0.55 * shadow(body, 0.03))[..., None]
    tray = tray * (0.97 + 0.06 * fractal_noise(rng, size, size, scale=size * 0.05))[..., None]
    site = Site("cap", pose.image(0, 0), 2 * RIM, 2 * RIM, pose.angle)
    return Scene(paint(tray, moulded(rng, v, u, radius, theta), body), tray, body, (site,))


def moulded(
    rng: np.random.Generator, v: np.ndarray, u: np.ndarray, radius: np.ndarray, theta: np.ndarray
) -> np.ndarray:
    """The plastic (S, S, 3): its form, a fine orange peel, and a batch's pigment."""
    size = len(v)
    peel = fractal_noise(rng, size, size, scale=size * 0.04, octaves=2)
    wall = 0.75 * np.minimum(TOP - radius, 0)
    flutes = 0.008 * np.cos(FLUTES * theta) * np.clip((radius - TOP) / 0.02, 0, 1)
    form = wall + flutes + emblem(v, u, radius) + 0.0011 * peel
    light = relief(form, gloss=0.30, sharpness=24)
    pigment = tint(rng, (0.16, 0.36, 0.62), 0.015)
    return np.clip(pigment * light[..., None] + 0.10 * (light[..., None] - 1), 0, 1)


def emblem(v: np.ndarray, u: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Height (S, S) of the raised ring, the hexagon and the arrow moulded into the top."""
    ring = np.clip(1 - np.abs(radius - 0.29) / 0.014, 0, 1)
    badge = np.clip(1 - np.abs(hexagon(v, u, 0.13)) / 0.012, 0, 1)
    stem = np.clip(1 - np.maximum(np.abs(u) - 0.012, np.abs(v) - 0.07) / 0.01, 0, 1)
    head = np.clip(1 - np.maximum(np.abs(u) - (v + 0.09) * 0.9, v + 0.02) / 0.01, 0, 1)
    return (0.008 * (ring + badge) + 0.006 * np.maximum(stem, head)).astype(np.float32)


def scorch(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Burnt resin: brown streaks in the moulding."""
    size = scene.size
    distance = blob(rng, size, place(scene, rng), rng.uniform(0.05, 0.10), 0.25)
    smoke = fractal_noise(rng, size, size, scale=size * 0.08)
    depth = cover(distance, 10) * np.clip(2.4 * smoke - 0.4, 0, 1) * scene.surface
    return paint(scene.image, rgb(0.20, 0.15, 0.11), 0.75 * depth)


def short_shot(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A mould that was not filled: a stretch of the fluted rim is missing."""
    v, u = scene.pick(rng, "cap").frame(scene.size)
    angle, half = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.30)
    turn = np.mod(np.arctan2(v, u) - angle + np.pi, 2 * np.pi) - np.pi
    depth = rng.uniform(0.030, 0.055) * np.clip(1 - (turn / half) ** 2, -1, 1)
    return paint(scene.image, scene.beneath, cover(RIM - depth - np.hypot(v, u)) * scene.surface)


CAP = Product(
    draw,
    {
        "chip": chip,
        "crack": crack,
        "dent": dent,
        "particle": particle,
        "scorch": scorch,
        "scratch": scratch,
        "short-shot": short_shot,
    },
)
