"""How light shows form and matter: relief, soft shadows, painted layers, surface grain."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import shift, uniform_filter

# One lamp for the whole line, above and a little to the left; (x, y, z), towards the lamp.
LAMP = np.array([-0.32, -0.58, 0.75], np.float32)
HALFWAY = np.array([-0.171, -0.310, 0.935], np.float32)  # between the lamp and the camera


def relief(height: np.ndarray, gloss: float = 0.0, sharpness: int = 16) -> np.ndarray:
    """Brightness (S, S) of a surface, 1 where flat; `height` is in image sides.

    Lambert's law plus a Blinn highlight of strength `gloss` and exponent `sharpness`.
    """
    slope_y, slope_x = np.gradient(height * np.float32(len(height)))
    norm = np.sqrt(1 + slope_x**2 + slope_y**2)
    diffuse = np.clip((LAMP[2] - slope_x * LAMP[0] - slope_y * LAMP[1]) / norm, 0, None) / LAMP[2]
    if not gloss:
        return diffuse
    mirror = np.clip((HALFWAY[2] - slope_x * HALFWAY[0] - slope_y * HALFWAY[1]) / norm, 0, 1)
    return diffuse + gloss * (mirror**sharpness - HALFWAY[2] ** sharpness)


def soften(values: np.ndarray, radius: float) -> np.ndarray:
    """Two box filters, close to a Gaussian of `radius` image sides, over (S, S)."""
    width = max(round(2 * radius * len(values)), 1)
    return uniform_filter(uniform_filter(values, width, mode="nearest"), width, mode="nearest")


def shadow(cover: np.ndarray, reach: float) -> np.ndarray:
    """Darkness (S, S) in 0..1 that something of shape `cover` throws, away from the lamp."""
    pixels = reach * len(cover)
    return soften(shift(cover, (pixels, 0.55 * pixels), order=0), reach * 0.7)


def paint(under: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Lay `colour`, (3,) or (S, S, 3), over `under` (S, S, 3) where `cover` (S, S) is 1."""
    return under + (colour - under) * cover[..., None]


def rgb(red: float, green: float, blue: float) -> np.ndarray:
    """A colour (3,) in 0..1."""
    return np.array([red, green, blue], np.float32)


def tint(rng: np.random.Generator, colour: tuple[float, float, float], spread: float) -> np.ndarray:
    """A colour (3,) of this batch: `spread` moves brightness, an eighth of it the hue."""
    return (
        rgb(*colour)
        + np.float32(rng.normal(0, spread))
        + rng.normal(0, spread / 8, 3).astype(np.float32)
    )


def streaks(rng: np.random.Generator, size: int, length: float) -> np.ndarray:
    """Grain along x: noise of unit variance (S, S), one pixel high and `length` sides long."""
    coarse = rng.standard_normal((size, max(round(1 / length), 2) + 2), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def profile(rng: np.random.Generator, position: np.ndarray, step: float) -> np.ndarray:
    """Noise of unit variance that changes along `position` alone, every `step`."""
    low = float(position.min())
    index = (position - low) / step
    table = rng.standard_normal(int(index.max()) + 2, dtype=np.float32)
    whole = index.astype(np.intp)
    rest = (index - whole).astype(np.float32)
    return table[whole] * (1 - rest) + table[whole + 1] * rest
