"""A twill: indigo warp over pale weft, two to one."""

from __future__ import annotations

import numpy as np

from demo.products.defects import fibre, place
from demo.products.geometry import Pose, blob, cover, frame, stroke, wander
from demo.products.light import paint, relief, rgb, soften, streaks, tint
from demo.products.product import Product, Scene, Site
from onegauge.training.data.noise import fractal_noise

PITCH = 1 / 30  # from thread to thread


def draw(rng: np.random.Generator, size: int) -> Scene:
    """The cloth fills the picture, a little skewed and stretched."""
    y, x = frame(size)
    pose = Pose.draw(rng, turn=0.012, shift=0.05)
    v, u = pose.part(y, x)
    drift = fractal_noise(rng, size, size, scale=size * 0.5, octaves=2) - 0.5
    image = weave(rng, v + 0.016 * drift, u - 0.012 * drift)
    table = np.full_like(image, 0.08)
    thread = Site("thread", (0, 0), PITCH, PITCH, pose.angle)
    return Scene(image, table, np.ones((size, size), np.float32), (thread,))


def weave(rng: np.random.Generator, v: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Both thread systems (S, S, 3), the upper one where they cross."""
    size, row, column = len(v), np.floor(v / PITCH), np.floor(u / PITCH)
    across, along = u / PITCH - column - 0.5, v / PITCH - row - 0.5
    phase = np.mod(column + row, 3)
    warp_up = phase < 2
    float_middle = np.where(phase == 0, along + 0.5, along - 0.5)  # of a warp float, in pitches
    warp = yarn(rng, across, float_middle / 2, u)
    weft = yarn(rng, along, across, v)
    fibre = 1 + 0.09 * streaks(rng, size, 0.015)
    blue = tint(rng, (0.22, 0.29, 0.47), 0.015)
    pale = tint(rng, (0.76, 0.74, 0.68), 0.02)
    colour = np.where(
        warp_up[..., None], blue * (warp * fibre.T)[..., None], pale * (weft * fibre)[..., None]
    )
    return np.clip(colour, 0, 1).astype(np.float32)


def yarn(
    rng: np.random.Generator, across: np.ndarray, along: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """Brightness (S, S) of round threads; each thread has its own thickness and dye."""
    dye = 1 + 0.06 * profile_by_thread(rng, position)
    roundness = 1 - 1.9 * across**2 - 0.35 * across
    return dye * roundness * (1 - 1.1 * along**2)


def profile_by_thread(rng: np.random.Generator, position: np.ndarray) -> np.ndarray:
    """One random number (S, S) for each thread."""
    index = np.floor(position / PITCH).astype(np.intp)
    table = rng.standard_normal(64, dtype=np.float32).clip(-2, 2)
    return table[index % 64]


def hole(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Torn threads around the bare table."""
    size, centre, radius = scene.size, place(scene, rng), rng.uniform(0.03, 0.065)
    rim = cover(blob(rng, size, centre, radius * 1.25, 0.1), 4)
    torn = paint(scene.image, scene.image * 0.55, 0.7 * rim)
    torn = paint(torn, scene.beneath, cover(blob(rng, size, centre, radius, 0.25)))
    for _ in range(int(rng.integers(5, 9))):
        heading = rng.uniform(0, 2 * np.pi)
        root = (centre[0] + radius * np.sin(heading), centre[1] + radius * np.cos(heading))
        end = wander(rng, root, heading + np.pi + rng.normal(0, 0.6), radius * 0.9, 0.25)
        fray = stroke(size, end, np.linspace(0.008, 0.004, 12))
        torn = paint(torn, rgb(0.70, 0.68, 0.64) * rng.uniform(0.6, 1.1), fray)
    return torn


def misweave(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A weft that floats over the warp where it should pass under it."""
    body = spindle(scene, rng, 0.0, rng.uniform(0.16, 0.4), 0.95 * PITCH)
    return thread_on_top(scene, rng, body, (0.66, 0.64, 0.59))


def slub(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A thick place in a warp thread."""
    body = spindle(scene, rng, np.pi / 2, rng.uniform(0.2, 0.45), rng.uniform(1.3, 1.8) * PITCH)
    return thread_on_top(scene, rng, body, (0.26, 0.33, 0.51))


def spindle(
    scene: Scene, rng: np.random.Generator, heading: float, length: float, width: float
) -> np.ndarray:
    """Cover (S, S) of a piece of thread, thickest in the middle."""
    turn = scene.pick(rng, "thread").angle
    path = wander(rng, place(scene, rng), heading - turn, length, 0.03)
    return stroke(scene.size, path, width * np.sin(np.linspace(0.3, np.pi - 0.3, 12)) ** 0.5)


def thread_on_top(
    scene: Scene, rng: np.random.Generator, body: np.ndarray, colour: tuple[float, float, float]
) -> np.ndarray:
    """Lay a round thread over the weave, with its shade beside it."""
    form = relief(soften(body, 0.008) * 0.012) * (1 + 0.12 * streaks(rng, scene.size, 0.02))
    shade = scene.image * (1 - 0.5 * soften(body, 0.012))[..., None]
    return paint(shade, np.clip(tint(rng, colour, 0.02) * form[..., None], 0, 1), body)


def pulled_thread(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A missing weft: a dark ladder, the neighbours drawn towards it."""
    gap = spindle(scene, rng, 0.0, rng.uniform(0.3, 0.7), rng.uniform(1.0, 1.4) * PITCH)
    pull = 1 - 0.25 * soften(gap, PITCH / 2)
    return paint(scene.image * pull[..., None], scene.image * 0.25, 0.95 * gap)


def oil(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A spot of machine oil, soaked in: dark and yellowish, with a soft edge."""
    distance = blob(rng, scene.size, place(scene, rng), rng.uniform(0.05, 0.11), 0.15)
    soaked = scene.image * rgb(0.52, 0.45, 0.32) * rng.uniform(0.8, 1.25)
    return paint(scene.image, soaked, cover(distance, 6))


CLOTH = Product(
    draw,
    {
        "fibre": fibre,
        "hole": hole,
        "misweave": misweave,
        "oil": oil,
        "pulled-thread": pulled_thread,
        "slub": slub,
    },
)
