"""Procedural images with a rich structure: the only data the starter backbone learns from.

An image is a stack of layers, each a colouring of a scalar field seen through a mask of shapes,
then lit and degraded as a camera would. Everything follows from the generator that is passed in.
"""

from __future__ import annotations

import io
import string

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, *, scale: float, octaves: int = 4
) -> np.ndarray:
    """Smooth noise (H, W) float32 in 0..1 whose coarsest blobs are about `scale` pixels wide."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = max(scale / 2**octave, 1.0)
        rows, columns = (max(int(np.ceil(side / cell)) + 1, 2) for side in (height, width))
        grid = Image.fromarray(rng.random((rows, columns), np.float32))
        window = (0.0, 0.0, min(width / cell, columns), min(height / cell, rows))
        layer = grid.resize((width, height), Image.Resampling.BICUBIC, box=window)
        total += np.asarray(layer) / 2**octave
    total -= total.min()
    return total / max(float(total.max()), 1e-6)


def procedural_image(rng: np.random.Generator, size: int) -> np.ndarray:
    """One random image, uint8 (size, size, 3)."""
    canvas = _textured(rng, size)  # (S, S, 3) in 0..1
    if rng.random() < 0.4:
        canvas = _mix(canvas, _dead_leaves(rng, size), np.float32(rng.uniform(0.4, 1)))
    for _ in range(rng.integers(0, 4)):
        canvas = _overlay(rng, canvas)
    return _photograph(rng, canvas)


# A field is a scalar pattern of warped coordinates (u, v) whose period is 1.


def _waves(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:  # noqa: ARG001
    return _sharpen(rng, np.sin(2 * np.pi * u))


def _checks(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _sharpen(rng, np.sin(np.pi * u) * np.sin(np.pi * v))


def _weave(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    thread = np.where(over, np.sin(np.pi * (u % 1)), np.sin(np.pi * (v % 1)))
    return np.where(over, thread, thread * rng.uniform(0.3, 1))


def _bricks(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    row = np.floor(v)
    u = u * rng.uniform(0.4, 1) + row * rng.choice([0, 0.5])
    edge = np.minimum(_to_border(u), _to_border(v)) / rng.uniform(0.03, 0.2)
    tone = _table(rng)[np.floor(u).astype(int) % 64, row.astype(int) % 64]
    return np.clip(edge, 0, 1) * (0.6 + 0.4 * tone)


def _discs(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    distance = np.hypot(u % 1 - 0.5, v % 1 - 0.5) / rng.uniform(0.15, 0.5)
    return np.clip((1 - distance) * rng.choice([1, 2, 12]), 0, 1)


def _rings(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    centre = rng.normal(0, 4, 2)
    return _sharpen(rng, np.sin(2 * np.pi * np.hypot(u - centre[0], v - centre[1])))


def _brushed(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    strands = rng.random(512)
    lines = np.interp(u * 4 + 0.05 * v, np.arange(-256, 256), strands)
    return lines * (0.7 + 0.3 * np.sin(v * rng.uniform(0, 1) + 9 * lines))


def _cells(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Voronoi cells of jittered lattice points: distance, borders, or one tone a cell."""
    points_u, points_v, tones = _table(rng), _table(rng), _table(rng)
    first, second = np.full(u.shape, 9.0, np.float32), np.full(u.shape, 9.0, np.float32)
    tone = np.zeros(u.shape, np.float32)
    for offset in np.ndindex(3, 3):
        i, j = np.floor(u) + offset[0] - 1, np.floor(v) + offset[1] - 1
        at = i.astype(int) % 64, j.astype(int) % 64
        distance = np.hypot(i + points_u[at] - u, j + points_v[at] - v)
        tone = np.where(distance < first, tones[at], tone)
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
    return (first, np.minimum(6 * (second - first), 1), tone)[rng.integers(3)]


def _clouds(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:  # noqa: ARG001
    noise = fractal_noise(rng, *u.shape, scale=_log_uniform(rng, 4, 100), octaves=5)
    return np.abs(2 * noise - 1) if rng.random() < 0.3 else noise


def _grain(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:  # noqa: ARG001
    noise = rng.random(u.shape, np.float32)
    return noise > rng.uniform(0.5, 0.995) if rng.random() < 0.5 else noise


def _ramp(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:  # noqa: ARG001
    return u


_FIELDS = (
    (_waves, 3), (_checks, 1), (_weave, 1), (_bricks, 1), (_discs, 2), (_rings, 1),
    (_brushed, 2), (_cells, 3), (_clouds, 6), (_grain, 1), (_ramp, 4),
)  # fmt: skip


def _textured(rng: np.random.Generator, size: int) -> np.ndarray:
    """A random field in random colours, (S, S, 3) in 0..1."""
    functions, weights = zip(*_FIELDS, strict=True)
    draw = functions[rng.choice(len(functions), p=np.divide(weights, sum(weights)))]
    field = np.asarray(draw(rng, *_coordinates(rng, size)), np.float32)
    field = (field - field.min()) / max(float(np.ptp(field)), 1e-6)
    return _palette(rng)[(field * 255).astype(np.uint8)]


def _coordinates(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Turned, stretched and gently warped pixel coordinates in units of a random period."""
    period, angle = _log_uniform(rng, 3, 80), rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32) - size * rng.uniform(0, 1)
    if rng.random() < 0.5:
        warp = fractal_noise(rng, size, size, scale=rng.uniform(20, 120), octaves=2)
        x, y = x + warp * period * rng.uniform(0, 3), y - warp * period * rng.uniform(0, 3)
    u = (np.cos(angle) * x + np.sin(angle) * y) / period
    v = (np.cos(angle) * y - np.sin(angle) * x) / (period * _log_uniform(rng, 0.5, 2))
    return u, v


def _palette(rng: np.random.Generator) -> np.ndarray:
    """Colours (256, 3) along 2 to 5 stops, smooth or in steps, from pale to vivid."""
    stops = rng.integers(2, 6)
    grey, hue = rng.random((stops, 1)), rng.random((stops, 3))
    colours = grey + (hue - grey) * rng.random()
    colours = colours.mean(0) + (colours - colours.mean(0)) * rng.uniform(0.1, 1.2)
    at = np.linspace(0, stops - 1, 256)
    if rng.random() < 0.2:
        at = np.round(at)
    channels = [np.interp(at, np.arange(stops), column) for column in colours.T]
    return np.clip(np.stack(channels, 1), 0, 1).astype(np.float32)


def _dead_leaves(rng: np.random.Generator, size: int) -> np.ndarray:
    """Plain shapes that occlude each other, many small ones and few large, (S, S, 3) in 0..1."""
    image = Image.new("RGB", (2 * size, 2 * size))
    draw, colours = ImageDraw.Draw(image), (_palette(rng) * 255).astype(int)
    for _ in range(int(_log_uniform(rng, 10, 150))):
        ink = tuple(int(c) for c in colours[rng.integers(256)])
        radius = min(_log_uniform(rng, 0.02, 1) ** 1.5, 0.6) * 2 * size + 2
        _shape(rng, draw, rng.random(2) * 2 * size, radius, ink)
    return np.asarray(image.reduce(2), np.float32) / 255


def _overlay(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Shapes with a fill of their own on the canvas, some with a shadow or a bevelled edge."""
    size = len(canvas)
    stencil = _stencil(rng, size)
    mask = np.asarray(stencil, np.float32) / 255
    if rng.random() < 0.5:
        soft = stencil.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 5)))
        relief = np.asarray(soft, np.float32) / 255
        shift = rng.integers(-4, 5, 2)
        slope = np.roll(relief, shift, (0, 1)) - relief * rng.integers(0, 2)
        canvas = canvas * (1 - rng.uniform(0, 0.7) * slope[..., None])
    fill = _textured(rng, size) if rng.random() < 0.7 else _palette(rng)[rng.integers(256)]
    return _mix(canvas, fill, mask[..., None] * np.float32(rng.choice([1, rng.uniform(0.2, 1)])))


def _stencil(rng: np.random.Generator, size: int) -> Image.Image:
    """One large object, scattered small ones, a grid of equal ones, or lines of text."""
    image = Image.new("L", (2 * size, 2 * size))
    draw, side = ImageDraw.Draw(image), 2 * size
    kind = rng.choice(["object", "scatter", "grid", "text"], p=[0.4, 0.25, 0.2, 0.15])
    if kind == "object":
        _shape(rng, draw, side * rng.uniform(0.2, 0.8, 2), side * rng.uniform(0.15, 0.6), 255)
    elif kind == "scatter":
        radius = _log_uniform(rng, 3, 0.1 * side)
        for centre in rng.random((rng.integers(1, 25), 2)) * side:
            _shape(rng, draw, centre, radius * rng.uniform(0.5, 1.5), 255)
    elif kind == "grid":
        step, seed = _log_uniform(rng, 16, side / 2), int(rng.integers(2**32))
        radius = step * rng.uniform(0.2, 0.5)
        for centre in np.ndindex(*(int(side / step) + 1,) * 2):
            _shape(np.random.default_rng(seed), draw, np.add(centre, 0.5) * step, radius, 255)
    else:
        _text(rng, draw, side)
    return image.rotate(rng.uniform(0, 360) * rng.integers(0, 2)).reduce(2)


def _text(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int) -> None:
    height = _log_uniform(rng, 14, 0.6 * side)
    font = ImageFont.load_default(height)
    letters = np.array(list(string.ascii_letters + string.digits + " -./+#"))
    for top in np.arange(rng.uniform(-1, 1) * height, side, height * rng.uniform(1, 2)):
        line = "".join(rng.choice(letters, int(2.5 * side / height)))
        draw.text((-rng.uniform(0, height), top), line, fill=255, font=font)


def _shape(
    rng: np.random.Generator,
    draw: ImageDraw.ImageDraw,
    centre: np.ndarray,
    radius: float,
    ink: int | tuple[int, ...],
) -> None:
    """An ellipse, a ring, a box, a stroke or a polygon about `centre`, at most `radius` large."""
    kind = rng.integers(6)
    extent = radius * rng.uniform((0.3, 0.3), 1)
    box = [*(centre - extent), *(centre + extent)]
    line = int(max(1, radius * rng.uniform(0.05, 0.5)))
    if kind == 0:
        draw.ellipse(box, fill=ink)
    elif kind == 1:
        draw.ellipse(box, outline=ink, width=line)
    elif kind == 2:
        draw.rounded_rectangle(box, radius * rng.uniform(0, 0.3), fill=ink)
    elif kind == 3:
        path = centre + radius * rng.normal(0, 0.6, (rng.integers(2, 6), 2))
        draw.line([tuple(p) for p in path], fill=ink, width=line, joint="curve")
    else:
        corners = rng.integers(3, 12)
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners)) if kind == 4 else _even(rng, corners)
        reach = extent if kind == 4 else radius * rng.uniform(0.4, 1, (1, 1)).repeat(corners, 0)
        if kind == 5:
            reach[::2] = radius  # a star, or a regular polygon's cousin
        path = centre + reach * np.stack([np.cos(angle), np.sin(angle)], 1)
        draw.polygon([tuple(p) for p in path], fill=ink)


def _even(rng: np.random.Generator, corners: int) -> np.ndarray:
    return rng.uniform(0, 2 * np.pi) + np.arange(corners) * 2 * np.pi / corners


def _photograph(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Light, lens, sensor and file: uneven light, a highlight, blur, noise and JPEG."""
    size = len(canvas)
    if rng.random() < 0.6:
        light = fractal_noise(rng, size, size, scale=rng.uniform(0.5, 3) * size, octaves=1)
        canvas = canvas * (1 - rng.uniform(0, 0.8) * light[..., None])
    if rng.random() < 0.5:
        canvas = canvas / max(float(canvas.max()), 0.1)  # exposed to the brightest point
    if rng.random() < 0.15:
        canvas = canvas + _highlight(rng, size)[..., None]
    if rng.random() < 0.2:
        canvas = canvas.mean(2, keepdims=True).repeat(3, 2)
    canvas = np.clip(canvas, 0, 1) ** np.float32(_log_uniform(rng, 0.6, 1.7))
    image = Image.fromarray((255 * canvas).astype(np.uint8))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(_log_uniform(rng, 0.3, 2.5)))
    if rng.random() < 0.4:
        noise = rng.standard_normal((size, size, 3), np.float32) * _log_uniform(rng, 0.5, 12)
        image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    if rng.random() < 0.3:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(30, 95)))
        image = Image.open(file)
    return np.array(image)


def _highlight(rng: np.random.Generator, size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    centre, radius = rng.random(2), _log_uniform(rng, 0.02, 0.2)
    bump = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * radius**2))
    return np.minimum(bump * rng.uniform(0.2, 2), 1)


def _mix(below: np.ndarray, above: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return below + (above - below) * alpha


def _sharpen(rng: np.random.Generator, wave: np.ndarray) -> np.ndarray:
    """A sine between -1 and 1, or its clipped form up to a square wave."""
    return np.clip(wave * rng.choice([1, 1, 4, 30]) + rng.uniform(-0.5, 0.5), -1, 1)


def _table(rng: np.random.Generator) -> np.ndarray:
    return rng.random((64, 64), np.float32)


def _to_border(u: np.ndarray) -> np.ndarray:
    return np.minimum(u % 1, 1 - u % 1)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
