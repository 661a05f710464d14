"""A card of twelve tablets in clear pockets on embossed foil."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from demo.products.defects import crack, particle
from demo.products.geometry import Pose, blob, box, cover, frame
from demo.products.light import paint, relief, rgb, shadow, soften, tint
from demo.products.product import Product, Scene, Site
from onegauge.training.data.noise import fractal_noise

ROWS, COLUMNS = 3, 4
PITCH, POCKET, TABLET = 0.225, 0.094, 0.074


def draw(rng: np.random.Generator, size: int) -> Scene:
    """The card on the table, the tablets jittered in their pockets."""
    y, x = frame(size)
    pose = Pose.draw(rng, turn=0.02)
    v, u = pose.part(y, x)
    card = cover(box(v, u, 0.74, 0.95, 0.04))
    row, column = cell(v, ROWS), cell(u, COLUMNS)
    pv, pu = v - middle(row, ROWS), u - middle(column, COLUMNS)
    table = tint(rng, (0.24, 0.27, 0.30), 0.01) * (1 - 0.5 * shadow(card, 0.015))[..., None]
    empty = paint(table, pockets(rng, v, u, np.hypot(pv, pu)), card)
    jitter = rng.normal(0, 0.004, (2, ROWS, COLUMNS)).astype(np.float32).clip(-0.01, 0.01)
    score = rng.uniform(0, np.pi, (ROWS, COLUMNS)).astype(np.float32)[row, column]
    tv, tu = pv - jitter[0][row, column], pu - jitter[1][row, column]
    full = fill(rng, empty, np.hypot(tv, tu), np.cos(score) * tv + np.sin(score) * tu)
    return Scene(full, empty, card, sites(pose))


def cell(position: np.ndarray, count: int) -> np.ndarray:
    """Index (S, S) of the pocket that each pixel is nearest to, along one axis."""
    return np.clip(np.floor(position / PITCH + count / 2), 0, count - 1).astype(np.intp)


def middle(index: np.ndarray, count: int) -> np.ndarray:
    """The centre of a pocket along one axis."""
    return ((index - (count - 1) / 2) * PITCH).astype(np.float32)


def sites(pose: Pose) -> tuple[Site, ...]:
    """The pockets in the image."""
    rows = middle(np.arange(ROWS), ROWS).tolist()
    columns = middle(np.arange(COLUMNS), COLUMNS).tolist()
    centres = [(v, u) for v in rows for u in columns]
    return tuple(Site("tablet", pose.image(v, u), 2 * POCKET, 2 * POCKET) for v, u in centres)


def pockets(
    rng: np.random.Generator, v: np.ndarray, u: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """The card without tablets (S, S, 3): embossed foil under domes of plastic."""
    size = len(v)
    emboss = np.abs(np.sin((v + u) * 130)) + np.abs(np.sin((v - u) * 130))
    wrinkles = fractal_noise(rng, size, size, scale=size * 0.25, octaves=3)
    foil = relief(0.0012 * emboss + 0.012 * wrinkles, gloss=0.35)
    dome = relief(0.06 * np.clip(1 - (radius / POCKET) ** 2, 0, 1), gloss=0.5, sharpness=40)
    inside = cover(radius - POCKET, 2)
    shade = foil * (1 - inside) + (0.5 * dome + 0.15 * foil) * inside
    return np.clip(tint(rng, (0.66, 0.67, 0.69), 0.015) * shade[..., None], 0, 1)


def fill(
    rng: np.random.Generator, empty: np.ndarray, radius: np.ndarray, score: np.ndarray
) -> np.ndarray:
    """Put the tablets into their pockets, under the glint of the plastic."""
    size = len(empty)
    body = cover(radius - TABLET)
    crown = 0.05 * np.sqrt(np.clip(1.04 - (radius / TABLET) ** 2, 0, 1))
    notch = 0.007 * np.exp(-((score / 0.005) ** 2))
    powder = fractal_noise(rng, size, size, scale=size * 0.015, octaves=2)
    form = relief(crown - notch) * (0.97 + 0.06 * powder)
    shaded = empty * (1 - 0.45 * shadow(body, 0.012))[..., None]
    full = paint(
        shaded, np.clip(tint(rng, (0.86, 0.80, 0.72), 0.012) * form[..., None], 0, 1), body
    )
    glint = relief(0.04 * np.sqrt(np.clip(1 - (radius / POCKET) ** 2, 0, 1)), 0.5, 60) - 1
    return np.clip(full + (0.25 * glint.clip(0))[..., None], 0, 1)


def one_tablet(scene: Scene, rng: np.random.Generator) -> tuple[Site, np.ndarray]:
    """A pocket at random, and its cover (S, S)."""
    site = scene.pick(rng, "tablet")
    return site, cover(np.hypot(*site.frame(scene.size)) - 1.1 * POCKET)


def missing_tablet(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """An empty pocket."""
    return paint(scene.image, scene.beneath, one_tablet(scene, rng)[1])


def broken_tablet(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A tablet with a piece broken off along a ragged line."""
    size, (site, pocket) = scene.size, one_tablet(scene, rng)
    v, _ = replace(site, angle=rng.uniform(0, 2 * np.pi)).frame(size)
    ragged = 0.03 * (fractal_noise(rng, size, size, scale=size * 0.06) - 0.5)
    cut = rng.uniform(-0.03, 0.03) - v + ragged
    face = paint(scene.image, scene.image * 0.72, cover(cut - 0.012, 2) * pocket)
    broken = paint(face, scene.beneath, cover(cut) * pocket)
    crumb = cover(blob(rng, size, site.centre, rng.uniform(0.006, 0.012), 0.3)) * cover(cut)
    return paint(broken, rgb(0.8, 0.75, 0.68), crumb)


def stained_tablet(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A tablet with a discoloured spot."""
    size, (site, pocket) = scene.size, one_tablet(scene, rng)
    offset = rng.normal(0, 0.02, 2)
    centre = (site.centre[0] + offset[0], site.centre[1] + offset[1])
    spot = cover(blob(rng, size, centre, rng.uniform(0.026, 0.055), 0.2), 5)
    colour = scene.image * rgb(0.78, 0.60, 0.42) * rng.uniform(0.8, 1.05)
    return paint(scene.image, colour, spot * pocket)


def crushed_pocket(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A pocket pressed in: creases over its plastic."""
    size, (_, pocket) = scene.size, one_tablet(scene, rng)
    creases = np.abs(fractal_noise(rng, size, size, scale=size * 0.09, octaves=2) - 0.5)
    form = relief(0.10 * creases, gloss=0.6) - 1
    return np.clip(scene.image * (1 + 0.8 * form * soften(pocket, 0.01))[..., None], 0, 1)


BLISTER = Product(
    draw,
    {
        "broken-tablet": broken_tablet,
        "crack": crack,
        "crushed-pocket": crushed_pocket,
        "missing-tablet": missing_tablet,
        "particle": particle,
        "stained-tablet": stained_tablet,
    },
)
