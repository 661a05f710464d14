"""Encoded bytes → RGB pixels: the one way by which uploads, files and training images are read.

Every supported file becomes 8-bit RGB, turned upright by its EXIF orientation, transparency
composited onto black, 16-bit grey scaled by its full range. Large JPEGs are decoded at a reduced
scale (never below one and a half times the model's size) before the one antialiased resize to the
model's height and width, which ignores the aspect ratio.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from service.errors import MultiFrameImage, TooManyPixels, UnreadableImage, UnsupportedImage

# The plugin is chosen here rather than by Image.open, which warns or raises at a pixel limit of
# its own and cannot tell a damaged file of a supported format from a foreign one.
_FORMATS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (rb"\xff\xd8\xff", JpegImageFile),
    (rb"\x89PNG\r\n\x1a\n", PngImageFile),
    (rb"RIFF.{4}WEBP", WebPImageFile),
    (rb"BM", BmpImageFile),
    (rb"II[*+]\0|MM\0[*+]", TiffImageFile),
)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OPAQUE_MODES = {"1", "L", "P", "RGB", "CMYK", "YCbCr"}
_EIGHT_BITS = ((np.arange(2**16) * 255 + 2**15) // (2**16 - 1)).tolist()
# What Pillow raises on damaged files (a warning where warnings are errors).
_DECODER_ERRORS = (
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
)


@dataclass(frozen=True)
class InputImage:
    """An image as the model takes it, with the size in pixels of the upright original."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB
    width: int
    height: int


def read_image(data: bytes, size: tuple[int, int], *, max_pixels: int) -> InputImage:
    """Decode an image and resize it to the model's `size` (height, width).

    Raises a subclass of `service.errors.ImageError`.
    """
    height, width = size
    original, rgb = _decode(data, max_pixels, at_least=3 * max(size) // 2)
    resized = rgb.resize((width, height), Image.Resampling.BILINEAR)
    return InputImage(np.array(resized), *original)


def read_original(data: bytes, *, max_pixels: int) -> Image.Image:
    """Decode an image at its full size, upright and RGB; raises like `read_image`."""
    return _decode(data, max_pixels)[1]


def read_mask(data: bytes, size: tuple[int, int], *, max_pixels: int) -> NDArray[np.bool_]:
    """What a mask has painted white, bool of `size` (height, width): where half or more of it is.

    Raises like `read_image`.
    """
    picture = read_original(data, max_pixels=max_pixels).convert("L")
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BOX)) >= 128


def _decode(
    data: bytes, max_pixels: int, at_least: int | None = None
) -> tuple[tuple[int, int], Image.Image]:
    """Return the upright (width, height) of the original, and its pixels at that size or smaller.

    A side is reduced only while it stays above `at_least` pixels.
    """
    with _decoder_errors():
        file = _open(data, max_pixels)
        width, height = file.size
        if at_least is not None:
            # The same bound for both sides, since the orientation is known only after decoding.
            file.draft(None, (at_least, at_least))
        file.load()
        orientation = _orientation(file)
        rgb = _rgb(file)
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
    return ((height, width) if orientation >= 5 else (width, height)), rgb


def open_image(data: bytes, max_pixels: int) -> ImageFile:
    """Read the header alone; raises ImageError."""
    with _decoder_errors():
        return _open(data, max_pixels)


def is_plain(file: ImageFile, data: bytes) -> bool:
    """Whether it is a JPEG or PNG, upright, in 8-bit grey or RGB without transparency."""
    if not isinstance(file, JpegImageFile | PngImageFile) or file.mode not in ("L", "RGB"):
        return False
    if isinstance(file, PngImageFile):  # whose orientation may stand behind the pixels
        return b"eXIf" not in data and not file.has_transparency_data
    return _orientation(file) == 1


def _open(data: bytes, max_pixels: int) -> ImageFile:
    if not data:
        raise UnreadableImage("The image is empty: 0 bytes were received.")
    plugin = next((p for magic, p in _FORMATS if re.match(magic, data, re.DOTALL)), None)
    if plugin is None:
        raise UnsupportedImage(
            f"The content starts with {data[:8]!r}, which is none of the supported formats: "
            "JPEG, PNG, WebP, BMP, TIFF."
        )
    file = plugin(BytesIO(data))
    if file.width * file.height > max_pixels:
        raise TooManyPixels(
            f"The image has {file.width} x {file.height} pixels; at most {max_pixels} are allowed.",
            limit_pixels=max_pixels,
        )
    if (frames := getattr(file, "n_frames", 1)) > 1:
        raise MultiFrameImage(f"The file holds {frames} frames; send each as an image of its own.")
    return file


def _rgb(image: ImageFile) -> Image.Image:
    """Bring any supported pixel format to RGB."""
    if image.mode.startswith("I;16") or (image.mode == "I" and isinstance(image, PngImageFile)):
        # Pillow inverts TIFFs whose white is 0 by itself, except those of 16 bits.
        levels = _EIGHT_BITS[::-1] if _white_is_zero(image) else _EIGHT_BITS
        return image.convert("I").point(levels, "L").convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGB", image.size)
        black.paste(rgba, mask=rgba.getchannel("A"))
        return black
    if image.mode == "RGB":
        return image  # where convert() would copy it
    if image.mode in _OPAQUE_MODES:
        return image.convert("RGB")
    raise UnsupportedImage(
        f"Pixels of mode {image.mode} cannot be inspected: "
        "save the image as 8 or 16-bit grey, RGB, RGBA, palette or CMYK."
    )


def _white_is_zero(image: ImageFile) -> bool:
    photometric = ExifTags.Base.PhotometricInterpretation
    return isinstance(image, TiffImageFile) and image.tag_v2.get(photometric) == 0


def _orientation(image: ImageFile) -> int:
    """EXIF orientation, 1 (upright) when there is none that can be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DECODER_ERRORS:
        return 1  # a damaged EXIF block leaves the pixels as good as they were


@contextmanager
def _decoder_errors() -> Iterator[None]:
    """Turn whatever Pillow raises on bad data into our own errors."""
    try:
        yield
    except Image.DecompressionBombError as exc:
        raise TooManyPixels(f"The image is far too large: {exc}") from exc
    except _DECODER_ERRORS as exc:
        raise UnreadableImage(f"The image is truncated or corrupt: {exc}") from exc
