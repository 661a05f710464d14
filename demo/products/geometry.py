"""Where things are: image coordinates, a part's pose, signed distances and drawn shapes.

All lengths are fractions of the image side; the centre of the image is (0, 0), y points down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from onegauge.training.data.noise import fractal_noise

OVERSAMPLING = 4


def frame(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The y and the x of each pixel's centre, each float32 (S, S) in -0.5..0.5."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y, x


@dataclass(frozen=True)
class Pose:
    """How a part lies before the camera: turned by `angle` radians, zoomed, shifted."""

    angle: float
    zoom: float
    dy: float
    dx: float

    @classmethod
    def draw(cls, rng: np.random.Generator, *, turn: float, shift: float = 0.012) -> Pose:
        """A pose as a fixture leaves it: `turn` and `shift` are standard deviations."""
        dy, dx = np.clip(rng.normal(0, shift, 2), -2.5 * shift, 2.5 * shift)
        angle = float(np.clip(rng.normal(0, turn), -2.5 * turn, 2.5 * turn))
        return cls(angle, float(rng.uniform(0.98, 1.02)), float(dy), float(dx))

    def part(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image coordinates to the part's own (v down, u right)."""
        cos, sin = np.cos(self.angle) / self.zoom, np.sin(self.angle) / self.zoom
        y, x = y - self.dy, x - self.dx
        return (cos * y - sin * x).astype(np.float32), (sin * y + cos * x).astype(np.float32)

    def image(self, v: float, u: float) -> tuple[float, float]:
        """The part's coordinates to the image's (y, x)."""
        cos, sin = np.cos(self.angle) * self.zoom, np.sin(self.angle) * self.zoom
        return float(cos * v + sin * u + self.dy), float(cos * u - sin * v + self.dx)


def box(v: np.ndarray, u: np.ndarray, height: float, width: float, corner: float) -> np.ndarray:
    """Signed distance (S, S) to a centred rectangle with rounded corners, negative inside."""
    dv, du = np.abs(v) - height / 2 + corner, np.abs(u) - width / 2 + corner
    outside = np.hypot(np.maximum(dv, 0), np.maximum(du, 0))
    return outside + np.minimum(np.maximum(dv, du), 0) - corner


def hexagon(v: np.ndarray, u: np.ndarray, apothem: float) -> np.ndarray:
    """Signed distance (S, S) to a hexagon, exact at its flats; negative inside."""
    turns = (0, np.pi / 3, 2 * np.pi / 3)
    sides = [np.abs(math.cos(turn) * u + math.sin(turn) * v) for turn in turns]
    return np.maximum.reduce(sides) - apothem


def cover(distance: np.ndarray, softness: float = 1.0) -> np.ndarray:
    """How much of each pixel (S, S) lies inside; the edge is `softness` pixels wide."""
    return np.clip(0.5 - distance * (len(distance) / softness), 0, 1)


def blob(
    rng: np.random.Generator, size: int, centre: tuple[float, float], radius: float, rough: float
) -> np.ndarray:
    """Signed distance (S, S) to an irregular patch; `rough` 0 makes it an ellipse."""
    stretch = rng.uniform(1.0, 1.3)
    v, u = Pose(rng.uniform(0, np.pi), 1.0, *centre).part(*frame(size))
    ellipse = np.hypot(v * stretch, u / stretch) - radius
    outline = fractal_noise(rng, size, size, scale=1.1 * radius * size) - 0.5
    return ellipse + (4 * rough * radius) * outline


def stroke(
    size: int, points: Sequence[tuple[float, float]], widths: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Cover (S, S) of a line through `points` (y, x); `widths` has one width a segment."""
    side = size * OVERSAMPLING
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    pixels = [((x + 0.5) * side, (y + 0.5) * side) for y, x in points]
    for start, end, width in zip(pixels[:-1], pixels[1:], widths, strict=True):
        radius = max(width * side, 1.0) / 2
        draw.line([start, end], fill=255, width=max(round(2 * radius), 1))
        draw.ellipse([end[0] - radius, end[1] - radius, end[0] + radius, end[1] + radius], fill=255)
    return np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32) / 255


def wander(
    rng: np.random.Generator, start: tuple[float, float], heading: float, length: float, bend: float
) -> list[tuple[float, float]]:
    """A random walk of 12 steps, 13 points, from `start` (y, x); a step turns by about `bend`."""
    headings = heading + np.cumsum(rng.normal(0, bend, 12))
    y = start[0] + np.cumsum(np.sin(headings)) * length / 12
    x = start[1] + np.cumsum(np.cos(headings)) * length / 12
    return [start, *zip(y.tolist(), x.tolist(), strict=True)]
