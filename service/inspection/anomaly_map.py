"""An anomaly map in the pixels of the original image, encoded for the answer.

All products share one fixed scale, never that of the single image, so that pictures compare:
0 is black, the threshold 1.0 lies in the middle, and 2.0 and above is white.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil, inf, sqrt
from typing import TypeAlias

import numpy as np
from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0
from numpy.typing import NDArray
from PIL import Image

from onegauge.schemas import HIGH, LOW, Encoding

JPEG_SIDE = 65_500
_STRIP_PIXELS = 2**18

MEDIA_TYPES: dict[Encoding, str] = {
    "png": "image/png",
    "png16": "image/png",
    "npy": "application/x-npy",
    "mask": "image/png",
    "overlay": "image/jpeg",
}
Size: TypeAlias = tuple[int, int]  # width, height

# The overlay's colours in Oklab (Ottosson 2020; lightness, green to red, blue to yellow) at these
# map values: what is normal stays as it was, violet begins to show above 0.5, the threshold is
# orange red, yellow is full. Straight lines between them are even to the eye, and the lightness
# rises all the way, so that they are told apart without telling red from green.
_LEVELS = (0.0, 0.5, 1.0, 2.0)
_OKLAB = ((0.42, 0.08, -0.17), (0.42, 0.08, -0.17), (0.66, 0.18, 0.08), (0.95, -0.03, 0.18))
_OPACITY = (0, 0, 140, 210)
_TO_LMS = np.array(
    [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@dataclass(frozen=True)
class EncodedMap:
    """A map of `width` x `height` pixels as a PNG, JPEG or .npy file."""

    encoding: Encoding
    width: int
    height: int
    data: bytes


def encode_map(
    anomaly_map: NDArray[np.float32],
    size: Size,
    encoding: Encoding,
    original: Image.Image | None = None,
    *,
    level: float = inf,
    lossless: bool = False,
) -> EncodedMap:
    """Enlarge a map (h, w) to `size` and encode it; an overlay needs the `original` RGB image.

    A mask is white where the map is at `level` or above. An overlay is a JPEG, or a PNG if it is
    to be `lossless`.
    """
    enlarged = np.asarray(Image.fromarray(anomaly_map).resize(size, Image.Resampling.BILINEAR))
    if original is not None:
        overlay = _overlay(_grey(enlarged, np.uint8), original.resize(size))
        data = _png(overlay) if lossless else _jpeg(overlay)
    elif encoding == "npy":
        data = _npy(enlarged)
    elif encoding == "mask":
        data = _png(Image.fromarray(np.where(enlarged >= level, 255, 0).astype(np.uint8)))
    else:
        data = _png(_grey(enlarged, np.uint16 if encoding == "png16" else np.uint8))
    return EncodedMap(encoding, *size, data)


def layer(levels: NDArray[np.uint8]) -> bytes:
    """A PNG that is laid over a picture to colour it, of the grey levels (h, w) of its map."""
    opacity = np.rint(_table(_OPACITY)).astype(np.uint8)  # (256,)
    rgba = np.concatenate([colours(), opacity[:, None]], 1)  # (256, 4)
    return _png(Image.fromarray(rgba[levels]))


def fitting_size(size: Size, max_pixels: int) -> Size:
    """`size` divided by the smallest whole number that keeps to `max_pixels`; no side below 1.

    No side exceeds what a JPEG can have either.
    """
    divisor = max(ceil(sqrt(size[0] * size[1] / max_pixels)), ceil(max(size) / JPEG_SIDE))
    return max(1, size[0] // divisor), max(1, size[1] // divisor)


def _grey(anomaly_map: NDArray[np.float32], dtype: type[np.unsignedinteger]) -> Image.Image:
    share = (anomaly_map.clip(LOW, HIGH) - LOW) / (HIGH - LOW)  # (H, W) in 0..1
    return Image.fromarray(np.rint(share * np.iinfo(dtype).max).astype(dtype))


def _overlay(grey: Image.Image, original: Image.Image) -> Image.Image:
    """The original, which is coloured where the map is high."""
    bands, opacity = [band.tolist() for band in colours().T], _table(_OPACITY).tolist()
    for box, part in strips(grey):
        colour = Image.merge("RGB", [part.point(band) for band in bands])
        original.paste(colour, box, part.point(opacity))
    return original


def strips(image: Image.Image) -> Iterator[tuple[Size, Image.Image]]:
    """Parts of an image with their places (x, y), each done in about a millisecond.

    Pillow keeps all other threads waiting for as long as a lookup or a paste takes.
    """
    height = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, height):
        yield (0, top), image.crop((0, top, image.width, min(top + height, image.height)))


def colours() -> NDArray[np.uint8]:
    """The overlay's sRGB colours (256, 3) of the grey levels from LOW to HIGH."""
    oklab = np.stack([_table(band) for band in zip(*_OKLAB, strict=True)], 1)  # (256, 3)
    linear = (oklab @ _TO_LMS.T) ** 3 @ _TO_RGB.T
    curved = 1.055 * linear.clip(0.0031308, 1) ** (1 / 2.4) - 0.055
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, curved)
    levels: NDArray[np.uint8] = np.rint(255 * srgb.clip(0, 1)).astype(np.uint8)
    return levels


def _table(values: Sequence[float]) -> NDArray[np.float64]:
    """A lookup table (256,) from the grey levels to values given at `_LEVELS`."""
    return np.interp(np.linspace(LOW, HIGH, 256), _LEVELS, values)


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)  # higher levels cost more time than they save bytes
    return file.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=90)  # a photo as PNG takes ten times the time and bytes
    return file.getvalue()


def _npy(array: NDArray[np.float32]) -> bytes:
    """The file, put together of exact bytes: that alone lets other threads go on meanwhile."""
    head = BytesIO()
    write_array_header_1_0(head, header_data_from_array_1_0(array))
    return b"".join([head.getvalue(), *(row.tobytes() for row in array)])
