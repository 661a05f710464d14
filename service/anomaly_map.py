"""An anomaly map in the pixels of the original image, encoded for the answer.

All products share one fixed scale, never that of the single image, so that pictures compare:
0 is black, the threshold 1.0 lies in the middle, and 2.0 and above is white.
"""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from math import ceil, sqrt
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LOW, HIGH = 0.0, 2.0  # score units at the ends of the picture encodings

Encoding: TypeAlias = Literal["png", "png16", "npy", "overlay"]
Size: TypeAlias = tuple[int, int]  # width, height

# The overlay's colours at these map values: what is normal stays as it was, yellow begins to
# show above 0.5, the threshold is orange, red is full.
_LEVELS = (0.0, 0.5, 1.0, 2.0)
_COLOURS = {"R": (255, 255, 255, 255), "G": (255, 255, 140, 0), "B": (0, 0, 0, 0)}
_OPACITY = (0, 0, 120, 200)


@dataclass(frozen=True)
class EncodedMap:
    """A map of `width` x `height` pixels as base64 of a PNG, JPEG or .npy file."""

    encoding: Encoding
    width: int
    height: int
    data: str


def encode_map(
    anomaly_map: NDArray[np.float32],
    size: Size,
    encoding: Encoding,
    original: Image.Image | None = None,
) -> EncodedMap:
    """Enlarge a map (h, w) to `size` and encode it; an overlay needs the `original` RGB image."""
    enlarged = np.asarray(Image.fromarray(anomaly_map).resize(size, Image.Resampling.BILINEAR))
    if original is not None:
        data = _jpeg(_overlay(_grey(enlarged, np.uint8), original.resize(size)))
    elif encoding == "npy":
        data = _npy(enlarged)
    else:
        data = _png(_grey(enlarged, np.uint16 if encoding == "png16" else np.uint8))
    return EncodedMap(encoding, *size, b64encode(data).decode())


def fitting_size(size: Size, max_pixels: int) -> Size:
    """`size` divided by the smallest whole number that keeps to `max_pixels`; no side below 1."""
    divisor = ceil(sqrt(size[0] * size[1] / max_pixels))
    return max(1, size[0] // divisor), max(1, size[1] // divisor)


def _grey(anomaly_map: NDArray[np.float32], dtype: type[np.unsignedinteger]) -> Image.Image:
    share = (anomaly_map.clip(LOW, HIGH) - LOW) / (HIGH - LOW)  # (H, W) in 0..1
    return Image.fromarray(np.rint(share * np.iinfo(dtype).max).astype(dtype))


def _overlay(grey: Image.Image, original: Image.Image) -> Image.Image:
    """The original, coloured where the map is high."""
    colour = Image.merge("RGB", [grey.point(_table(band)) for band in _COLOURS.values()])
    return Image.composite(colour, original, grey.point(_table(_OPACITY)))


def _table(values: tuple[int, ...]) -> list[float]:
    """A lookup table from the 256 grey levels to values given at `_LEVELS`."""
    return list(np.interp(np.linspace(LOW, HIGH, 256), _LEVELS, values))


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)  # higher levels cost more time than they save bytes
    return file.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=90)  # a photo as PNG takes ten times the time and bytes
    return file.getvalue()


def _npy(array: NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()
