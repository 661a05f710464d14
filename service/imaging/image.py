"""Encoded bytes → RGB pixels: the one way by which uploads, files and training images are read.

Every supported file becomes 8-bit RGB, turned upright by its EXIF orientation, transparency
composited onto black, more than 8 bits scaled by their depth. Large JPEGs are decoded at a reduced
scale (never below one and a half times the model's size), and what is larger still is averaged by
whole pixels (never below twice that size), before the antialiased resize to the model's height and
width, which ignores the aspect ratio.
"""

import re
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from onegauge.service.errors import (
    MultiFrameImage,
    TooManyPixels,
    UnreadableImage,
    UnsupportedImage,
)
from onegauge.service.imaging.depth import UNKNOWN, Depth, Samples
from onegauge.service.imaging.formats import bmp, jpeg, png
from onegauge.service.imaging.formats.decoder import DECODER_ERRORS, decoder_errors
from onegauge.service.imaging.formats.foreign import foreign_format
from onegauge.service.imaging.formats.tiff import Tiff
from onegauge.service.imaging.formats.tiff_samples import tiff_samples

# The plugin is chosen here rather than by Image.open, which warns or raises at a pixel limit of
# its own and cannot tell a damaged file of a supported format from a foreign one.
_FORMATS: tuple[tuple[bytes, type[ImageFile] | type[Tiff], str], ...] = (
    (rb"\xff\xd8\xff", JpegImageFile, "image/jpeg"),
    (rb"\x89PNG\r\n\x1a\n", png.PngFile, "image/png"),
    (rb"RIFF.{4}WEBP", WebPImageFile, "image/webp"),
    (rb"BM", BmpImageFile, "image/bmp"),
    (rb"II[*+]\0|MM\0\*", Tiff, "image/tiff"),
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
_OPAQUE_MODES = {"1", "P", "CMYK", "YCbCr"}


@dataclass(frozen=True)
class InputImage:
    """An image as the model takes it, with the size in pixels of the upright original."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB
    width: int
    height: int


def read_image(
    data: bytes, size: tuple[int, int], *, max_pixels: int, depth: Depth = UNKNOWN
) -> InputImage:
    """Decode an image and resize it to the model's `size` (height, width).

    Raises a subclass of ImageError.
    """
    height, width = size
    original, picture = _decode(data, max_pixels, depth, at_least=3 * max(size) // 2)
    return InputImage(np.array(_rgb(_resized(picture, width, height))), *original)


def read_original(data: bytes, *, max_pixels: int, depth: Depth = UNKNOWN) -> Image.Image:
    """Decode an image at its full size, upright and RGB; raises like `read_image`."""
    return _rgb(_decode(data, max_pixels, depth)[1])


def read_reduced(data: bytes, side: int, *, max_pixels: int, depth: Depth = UNKNOWN) -> Image.Image:
    """Decode an image, upright and RGB, no side longer than `side`; raises like `read_image`."""
    picture = _decode(data, max_pixels, depth, at_least=side)[1]
    picture.thumbnail((side, side))
    return _rgb(picture)


def read_painted(data: bytes, *, max_pixels: int) -> Image.Image:
    """Decode a mask like `read_original`, of more than 8 bits by the depth that its white needs."""
    samples = read_samples(data, max_pixels=max_pixels)
    depth = UNKNOWN if samples is None else Depth.holding(samples.used)
    return read_original(data, max_pixels=max_pixels, depth=depth)


def read_mask(data: bytes, size: tuple[int, int], *, max_pixels: int) -> NDArray[np.bool_]:
    """What a mask has painted white, bool of `size` (height, width): where half or more of it is.

    Raises like `read_image`.
    """
    picture = read_painted(data, max_pixels=max_pixels).convert("L")
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BOX)) >= 128


def may_have_samples(start: bytes) -> bool:
    """Whether a file that starts so, with 26 bytes or more, may have more than 8 bits."""
    return start[:2] in (b"II", b"MM") or png.is_deep(start)


def read_samples(data: bytes, *, max_pixels: int) -> Samples | None:
    """The samples of an image of more than 8 bits, None of any other; raises like `read_image`."""
    if not may_have_samples(data):
        return None
    return _samples(open_image(data, max_pixels), data)


def _decode(
    data: bytes, max_pixels: int, depth: Depth, at_least: int | None = None
) -> tuple[tuple[int, int], Image.Image]:
    """The upright (width, height) of the original, and it in grey or RGB at that size or smaller.

    A side is reduced only while it stays above `at_least` pixels.
    """
    file = open_image(data, max_pixels)
    samples = _samples(file, data)
    if samples is not None:
        picture = _picture(depth.eight_bits(samples))
    elif isinstance(file, JpegImageFile):
        # The same bound for both sides, since the orientation is known only after decoding.
        picture = jpeg.decode(file, data, at_least)
    else:
        picture = _loaded(file, data)
    width, height = file.size if isinstance(file, JpegImageFile) else picture.size
    orientation = file.orientation if isinstance(file, Tiff) else _orientation(file)
    picture = _opaque(picture)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    return ((height, width) if orientation >= 5 else (width, height)), picture


def open_image(data: bytes, max_pixels: int) -> ImageFile | Tiff:
    """Read the header alone; raises ImageError."""
    if not data:
        raise UnreadableImage("The image is empty: 0 bytes were received.")
    kind = _format_of(data)
    if kind is None:
        name = foreign_format(data)
        raise UnsupportedImage(
            f"The content starts with {data[:8]!r}, which is "
            + (f"{name}, none" if name else "none")
            + " of the supported formats: JPEG, PNG, WebP, BMP, TIFF."
        )
    file, frames = _opened(kind[0], data)
    width, height = file.size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"The image has {width} x {height} pixels; at most {max_pixels} are allowed.",
            limit_pixels=max_pixels,
        )
    if frames > 1:
        raise MultiFrameImage(f"The file holds {frames} frames; send each as an image of its own.")
    return file


def is_plain(file: ImageFile | Tiff, data: bytes) -> bool:
    """Whether it is a JPEG or PNG, upright, in 8-bit grey or RGB without transparency."""
    if not isinstance(file, JpegImageFile | png.PngFile) or file.mode not in ("L", "RGB"):
        return False
    if isinstance(file, png.PngFile):  # whose orientation may stand behind the pixels
        return data[png.BITS] == 8 and b"eXIf" not in data and not file.has_transparency_data
    return _orientation(file) == 1


def media_type(data: bytes) -> str:
    """The media type of a file in one of the formats that are read, by its first bytes."""
    kind = _format_of(data)
    return kind[1] if kind else "application/octet-stream"


def _format_of(data: bytes) -> tuple[type[ImageFile] | type[Tiff], str] | None:
    for magic, plugin, name in _FORMATS:
        if re.match(magic, data, re.DOTALL):
            return plugin, name
    return None


def _opened(plugin: type[ImageFile] | type[Tiff], data: bytes) -> tuple[ImageFile | Tiff, int]:
    """The file with its header read, and its number of frames."""
    if issubclass(plugin, Tiff):
        tiff = plugin.read(data)
        return tiff, tiff.pages
    if plugin is BmpImageFile:
        return bmp.open_bmp(data), 1
    if plugin is JpegImageFile:
        jpeg.refuse_unsupported(data)
    with decoder_errors():
        file = plugin(BytesIO(data))
        return file, getattr(file, "n_frames", 1)


def _samples(file: ImageFile | Tiff, data: bytes) -> Samples | None:
    if isinstance(file, Tiff):
        return tiff_samples(file) if file.has_samples else None
    return png.samples(file, data) if isinstance(file, png.PngFile) and png.is_deep(data) else None


def _picture(levels: NDArray[np.uint8]) -> Image.Image:
    """Of 8-bit levels (H, W, C): grey or RGB, and alpha."""
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def _loaded(file: ImageFile | Tiff, data: bytes) -> Image.Image:
    if isinstance(file, Tiff):
        return file.picture()
    if isinstance(file, BmpImageFile):
        bmp.check(file, data)
    if isinstance(file, png.PngFile):
        png.check(data)
    with decoder_errors():
        file.load()
    return file


def _resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Antialiased; a large picture is averaged by whole pixels first, which is faster."""
    times = min(picture.size) // (2 * max(width, height))
    if times < 2:
        return picture.resize((width, height), Image.Resampling.BILINEAR)
    box = (0, 0, picture.width / times, picture.height / times)  # the last ones may be in part
    return picture.reduce(times).resize((width, height), Image.Resampling.BILINEAR, box)


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def _opaque(image: Image.Image) -> Image.Image:
    """Bring any supported pixel format to RGB, and leave grey alone: that is resized faster."""
    if image.mode == "P" and image.palette is None:
        raise UnreadableImage("The image is truncated or corrupt: it has no palette.")
    if image.has_transparency_data:
        rgba = _converted(image, "RGBA")
        alpha = rgba.getchannel("A")
        if alpha.getextrema() == (0, 0):  # a fourth byte that nobody uses
            return rgba.convert("RGB")
        black = Image.new("RGB", image.size)
        black.paste(rgba, mask=alpha)
        return black
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in _OPAQUE_MODES:
        return _converted(image, "RGB")
    raise UnsupportedImage(
        f"Pixels of mode {image.mode} cannot be inspected: "
        "save the image as 8 or 16-bit grey, RGB, RGBA, palette or CMYK."
    )


def _converted(image: Image.Image, mode: str) -> Image.Image:
    with decoder_errors():  # of palettes and keys as they were in the file
        return image.convert(mode)


def _orientation(image: ImageFile) -> int:
    """EXIF orientation, 1 (upright) when there is none that can be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODER_ERRORS:
        return 1  # a damaged EXIF block leaves the pixels as good as they were
