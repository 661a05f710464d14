"""The one scale of scores and maps: where the threshold lies, and in which colours it is shown.

All products and all images share it, so that two pictures compare: what is normal stays as it
was, violet begins to show half-way to the threshold, which is orange red, and yellow is twice it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

THRESHOLD = 1.0  # of calibrated scores, and of their maps
UNKNOWN = 1.0  # of novelty, from which on an image shows an unknown product

# The colours of the gateway's overlay at these values of the map.
LEVELS = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0)
COLOURS = (
    (90, 39, 165),
    (90, 39, 165),
    (163, 74, 134),
    (243, 83, 83),
    (255, 166, 80),
    (255, 240, 61),
)
OPACITY = (0, 0, 70, 140, 175, 210)  # of 255


def stops() -> list[tuple[float, str, float]]:
    """The scale as a gradient from the lowest level to the highest: offset, colour, opacity."""
    rows = zip(LEVELS, COLOURS, OPACITY, strict=True)
    return [(x / LEVELS[-1], f"#{bytes(rgb).hex()}", share / 255) for x, rgb, share in rows]


def overlay(picture: Image.Image, anomaly_map: np.ndarray) -> Image.Image:
    """An RGB picture, coloured where the map (h, w) is high."""
    enlarged = Image.fromarray(anomaly_map.astype(np.float32)).resize(
        picture.size, Image.Resampling.BILINEAR
    )
    values = np.asarray(enlarged)  # (H, W)
    opacity = np.interp(values, LEVELS, OPACITY)[..., None] / 255  # (H, W, 1)
    colour = np.stack([np.interp(values, LEVELS, band) for band in zip(*COLOURS, strict=True)], -1)
    mixed = opacity * colour + (1 - opacity) * np.asarray(picture, np.float32)  # (H, W, 3)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))
