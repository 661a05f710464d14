"""Synthetic anomalies on normal images of any product.

They stand for defects where an export is verified. After CutPaste (Li et al., CVPR 2021) and DRAEM
(Zavrtanik et al., ICCV 2021), without a texture data set: the pasted matter comes from the image
itself or is procedural.
"""

from __future__ import annotations

import numpy as np

from onegauge.training.data.noise import fractal_noise

AREA = (0.005, 0.08)  # share of the image that an anomaly covers


def add_anomaly(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of `image` uint8 (H, W, 3) with one local anomaly of random kind and shape."""
    mask = _blob(rng, *image.shape[:2]) * rng.uniform(0.5, 1.0)  # (H, W) opacity
    matter = MATTERS[rng.integers(len(MATTERS))](image, rng)  # (H, W, 3)
    mixed = image + mask[..., None] * (matter - image.astype(np.float32))
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A soft-edged irregular patch, often elongated, (H, W) in 0..1."""
    area = height * width * np.exp(rng.uniform(*np.log(AREA)))
    elongation = np.exp(rng.uniform(0, np.log(8)))
    long, short = np.sqrt(area / np.pi * elongation), np.sqrt(area / np.pi / elongation)
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y - rng.uniform(0.1, 0.9) * height, x - rng.uniform(0.1, 0.9) * width
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    radius = np.hypot(along / long, across / short)
    ragged = fractal_noise(rng, height, width, scale=max(short, 4.0)) - 0.5
    return np.clip((1 + ragged - radius) * max(short / 2, 1.0), 0, 1)


def _another_place(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shift = [int(rng.integers(n // 8, n - n // 8)) for n in image.shape[:2]]
    return np.roll(image, shift, axis=(0, 1))


def _rotated(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turned = np.rot90(image, rng.integers(1, 4))
    rows = np.arange(image.shape[0]) % turned.shape[0]
    columns = np.arange(image.shape[1]) % turned.shape[1]
    return turned[rows][:, columns]


def _brighter_or_darker(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return image.astype(np.float32) + rng.choice([-1, 1]) * rng.uniform(30, 110)


def _stain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = fractal_noise(rng, *image.shape[:2], scale=rng.uniform(4, 40))
    colour = rng.uniform(0, 255, 3)
    return colour * (0.6 + 0.8 * noise[..., None])


MATTERS = (_another_place, _rotated, _brighter_or_darker, _stain)
