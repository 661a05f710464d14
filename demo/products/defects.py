"""Defects that many products share: each maps a scene to its damaged image (S, S, 3)."""

from __future__ import annotations

import numpy as np

from demo.products.geometry import blob, cover, stroke, wander
from demo.products.light import paint, relief, rgb, shadow, soften, tint
from demo.products.product import Scene
from onegauge.training.data.noise import fractal_noise

RUST = rgb(0.46, 0.24, 0.11)
DIRT = rgb(0.26, 0.20, 0.13)


def scratch(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A long shallow groove: one flank catches the light, the other lies in the dark."""
    groove = line(scene, rng, length=(0.2, 0.5), width=(0.008, 0.014), bend=0.06)
    sign = 1 if brightness(scene, groove) < 0.55 else -1
    bright = 1 + sign * rng.uniform(0.2, 0.5) * groove
    return scene.image * (relief(-groove * rng.uniform(0.003, 0.006)) * bright)[..., None]


def crack(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A jagged dark line with a branch."""
    start, heading = across(scene, rng)
    path = wander(rng, start, heading, rng.uniform(0.18, 0.42), 0.45)
    branch = wander(rng, path[5], heading + rng.choice((-0.9, 0.9)), rng.uniform(0.06, 0.15), 0.4)
    taper = np.linspace(rng.uniform(0.008, 0.014), 0.003, 12)
    gap = np.maximum(stroke(scene.size, path, taper), stroke(scene.size, branch, taper / 2))
    gap = gap * scene.surface
    edges = relief(-soften(gap, 0.004) * 0.004)
    return paint(scene.image * edges[..., None], scene.image * 0.22, 0.9 * gap)


def dent(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A hollow in the surface, seen by its shading alone."""
    radius = rng.uniform(0.04, 0.07)
    hollow = blob(rng, scene.size, place(scene, rng), radius, 0.03) / radius
    depth = rng.uniform(0.5, 0.8) * radius * np.exp(-2 * (hollow + 1) ** 2)
    shading = relief(-depth) - 1
    return scene.image * (1 + shading * scene.surface)[..., None]


def stain(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A dried drop of dirty water with a stronger rim."""
    radius = rng.uniform(0.035, 0.10)
    distance = blob(rng, scene.size, place(scene, rng), radius, 0.12)
    patch = cover(distance, 3) * scene.surface
    rim = np.exp(-((distance / radius / 0.18) ** 2))
    depth = patch * (0.75 + 0.35 * rim) * rng.uniform(0.5, 0.9)
    return paint(scene.image, scene.image * 0.4 + DIRT * 0.5, depth)


def rust(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A patch of corrosion that breaks up into spots towards its edge."""
    size, radius = scene.size, rng.uniform(0.04, 0.10)
    distance = blob(rng, size, place(scene, rng), radius, 0.3)
    spots = fractal_noise(rng, size, size, scale=size * 0.04)
    grain = fractal_noise(rng, size, size, scale=size * 0.02)
    depth = np.clip((spots - 0.52 - 0.45 * distance / radius) * 4, 0, 1)
    colour = RUST * (0.5 + grain[..., None]) * rng.uniform(0.7, 1.15)
    return paint(scene.image, colour, 0.9 * depth * scene.surface)


def particle(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A foreign crumb on the part."""
    radius = rng.uniform(0.025, 0.045)
    return lay(scene, rng, cover(blob(rng, scene.size, place(scene, rng), radius, 0.25)))


def fibre(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A foreign hair or thread on the part."""
    path = wander(rng, *across(scene, rng), rng.uniform(0.15, 0.35), 0.4)
    return lay(scene, rng, stroke(scene.size, path, [rng.uniform(0.009, 0.014)] * 12))


def lay(scene: Scene, rng: np.random.Generator, body: np.ndarray) -> np.ndarray:
    """Lay a foreign body of shape `body` (S, S) on the part; it throws a shadow."""
    shaded = scene.image * (1 - 0.5 * shadow(body, 0.012))[..., None]
    contrast = 0.85 if brightness(scene, body) < 0.55 else 0.10
    colour = np.clip(tint(rng, (contrast, 0.95 * contrast, 0.88 * contrast), 0.06), 0.03, 0.97)
    form = relief(soften(body, 0.006) * 0.01, gloss=0.15)
    return paint(shaded, colour * form[..., None], body)


def chip(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A piece broken off the edge: the ground shows, framed by a pale face of fracture."""
    size, radius = scene.size, rng.uniform(0.03, 0.065)
    distance = blob(rng, size, edge(scene, rng)[0], radius, 0.22)
    gone, face = cover(distance + 0.012), cover(distance)
    grain = fractal_noise(rng, size, size, scale=size * 0.03)
    fresh = np.clip(scene.image * 0.5 + (0.1 + 0.55 * grain)[..., None], 0, 1)
    broken = paint(scene.image, fresh, face * scene.surface)
    return paint(broken, scene.beneath, gone * scene.surface)


def burr(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A sliver of material that stands out over the edge, bent along it."""
    size = scene.size
    (y, x), outward = edge(scene, rng)
    heading = outward + rng.choice((-1, 1)) * rng.uniform(0.9, 1.4)
    path = wander(rng, (y, x), heading, rng.uniform(0.07, 0.13), 0.2)
    body = stroke(size, path, np.linspace(rng.uniform(0.025, 0.045), 0.005, 12))
    shaded = scene.image * (1 - 0.5 * shadow(body, 0.01))[..., None]
    metal = scene.image[scene.surface > 0.5].mean(axis=0) * rng.uniform(1.0, 1.35)
    form = relief(soften(body, 0.008) * 0.012, gloss=0.4)
    return paint(shaded, np.clip(metal * form[..., None], 0, 1), body)


def place(scene: Scene, rng: np.random.Generator) -> tuple[float, float]:
    """A random point (y, x) on the part, clear of the image's border."""
    inner = scene.surface.copy()
    margin = scene.size // 12
    inner[:margin] = inner[-margin:] = inner[:, :margin] = inner[:, -margin:] = 0
    return point(int(rng.choice(np.flatnonzero(inner > 0.5))), scene.size)


def across(scene: Scene, rng: np.random.Generator) -> tuple[tuple[float, float], float]:
    """A random point (y, x) on the part, and a heading towards another one."""
    start, target = place(scene, rng), place(scene, rng)
    return start, float(np.arctan2(target[0] - start[0], target[1] - start[1]))


def edge(scene: Scene, rng: np.random.Generator) -> tuple[tuple[float, float], float]:
    """A random point (y, x) on the part's outline, and the angle that points away from it."""
    slope_y, slope_x = np.gradient(soften(scene.surface, 0.01))
    steep = np.hypot(slope_y, slope_x)
    chosen = int(rng.choice(np.flatnonzero(steep > 0.7 * steep.max())))
    outward = np.arctan2(-slope_y.flat[chosen], -slope_x.flat[chosen])
    return point(chosen, scene.size), float(outward)


def point(index: int, size: int) -> tuple[float, float]:
    """The (y, x) of the pixel with this flat index."""
    row, column = divmod(index, size)
    return (row + 0.5) / size - 0.5, (column + 0.5) / size - 0.5


def line(
    scene: Scene,
    rng: np.random.Generator,
    *,
    length: tuple[float, float],
    width: tuple[float, float],
    bend: float,
) -> np.ndarray:
    """Cover (S, S) of a line on the part, thinner towards both ends."""
    path = wander(rng, *across(scene, rng), rng.uniform(*length), bend)
    taper = np.sin(np.linspace(0.25, np.pi - 0.25, 12)) ** 0.5
    return stroke(scene.size, path, rng.uniform(*width) * taper) * scene.surface


def brightness(scene: Scene, cover: np.ndarray) -> float:
    """Mean brightness of the part, 0..1, under `cover` (S, S)."""
    return float((scene.image.mean(axis=-1) * cover).sum() / max(cover.sum(), 1))
