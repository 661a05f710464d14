"""JPEG by libjpeg-turbo without Pillow between, which passes over the decoder's warnings.

A warning says that the data do not fit together, as where some were lost; what is decoded from
there on is another picture. The pixels of a whole file are those that Pillow decodes.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from onegauge.service.errors import ImageError, UnreadableImage, UnsupportedImage

_SCALES = (8, 4, 2)
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # tables and extensions are not
_KINDS = {
    0xC3: "Lossless JPEG",
    0xC5: "Hierarchical JPEG",
    0xC6: "Hierarchical JPEG",
    0xC7: "Hierarchical JPEG",
    0xCB: "Lossless JPEG",
    0xCD: "Hierarchical JPEG",
    0xCE: "Hierarchical JPEG",
    0xCF: "Hierarchical JPEG",
    0xF7: "JPEG-LS",
}


def refuse_unsupported(data: bytes) -> None:
    """Raise UnsupportedImage for a whole JPEG of a kind that is not decoded, by its name."""
    marker, bits, height, channels = _frame(data)
    kind = _KINDS.get(marker)
    if kind is None and bits != 8:
        kind = f"JPEG of {bits} bits"
    elif kind is None and channels not in (1, 3, 4):
        kind = f"JPEG of {channels} channels"
    elif kind is None and height == 0:
        kind = "JPEG that tells its height behind its pixels"
    if kind:
        raise UnsupportedImage(f"{kind} cannot be inspected: save it as JPEG of 8 bits, or PNG.")


def decode(file: JpegImageFile, data: bytes, at_least: int | None = None) -> Image.Image:
    """The picture of an opened file, reduced while its sides stay above `at_least` pixels.

    Raises UnreadableImage where anything about the data is not as it should be, UnsupportedImage
    where the decoder cannot tell.
    """
    scale = 1
    if at_least is not None:
        scale = next((s for s in _SCALES if min(file.size) // at_least >= s), 1)
    try:
        pixels = _decoded(file, data, scale)
    except ValueError as exc:
        raise _problem(exc) from exc
    if file.mode == "CMYK":
        inverted = 255 - pixels  # as Pillow has it
        return Image.frombytes("CMYK", inverted.shape[1::-1], inverted.tobytes())
    return Image.fromarray(pixels[..., 0] if file.mode == "L" else pixels)


def check(data: bytes) -> None:
    """Raise UnreadableImage for data that do not fit together, at half the cost of decoding."""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1)
    except ValueError as exc:
        raise _problem(exc) from exc


def _decoded(file: JpegImageFile, data: bytes, scale: int) -> NDArray[np.uint8]:
    """(H, W, C) at 1 / `scale` of the size."""
    width, height = (-(-side // scale) for side in file.size)
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data, _SPACES[file.mode], min_height=height, min_width=width
    )
    return pixels


def _problem(error: ValueError) -> ImageError:
    if "subsampling" in str(error):  # which Pillow would decode, with no word about damage
        return UnsupportedImage(
            "JPEG whose colours are sampled in an unusual way cannot be inspected: save it by "
            "4:4:4, 4:2:2 or 4:2:0, or as PNG."
        )
    return UnreadableImage(f"The image is truncated or corrupt: {error}")


def _frame(data: bytes) -> tuple[int, int, int, int]:
    """The marker of the frame, bits, height and channels; usual ones where it is missing."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 9 < len(data):
        marker = data[at + 1]
        if marker in _FRAMES:
            return marker, data[at + 4], int.from_bytes(data[at + 5 : at + 7]), data[at + 9]
        # Any number of 0xFF may fill the space before a marker.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return 0xC0, 8, 1, 3
