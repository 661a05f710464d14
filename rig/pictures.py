"""Small images and files that only claim to be images, for the tests to send and to read."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

ORIENTATION = 0x0112


def encode(image: Image.Image, encoding: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, encoding, **options)
    return file.getvalue()


def picture(width: int = 60, height: int = 40) -> Image.Image:
    """Upper left quarter red, lower right quarter blue, the rest grey."""
    image = Image.new("RGB", (width, height), (90, 90, 90))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2 - 1, height // 2 - 1), (250, 10, 10))
    draw.rectangle((width // 2, height // 2, width, height), (10, 10, 250))
    return image


def oriented(orientation: int) -> Image.Exif:
    """EXIF data that tells how the stored image is turned."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def animation(encoding: str) -> bytes:
    """Two frames, or pages."""
    frames = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (0, 250)]
    return encode(frames[0], encoding, save_all=True, append_images=frames[1:])


def png_header(width: int, height: int) -> bytes:
    """A valid PNG that announces pixels which never come."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b""))


def png_of_16_bits(pixels: np.ndarray, significant: bytes = b"", key: bytes = b"") -> bytes:
    """A PNG of uint16 (H, W) or (H, W, 1 to 4), which Pillow cannot write but as grey.

    The rows are filtered by the value to their left; `significant` is what `sBIT` says, and `key`
    the transparent colour of `tRNS`.
    """
    pixels = np.atleast_3d(pixels).astype(">u2")
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
    samples = pixels.view(np.uint8).reshape(height, width, 2 * channels)
    samples[:, 1:] -= samples[:, :-1].copy()
    rows = b"".join(b"\1" + row.tobytes() for row in samples)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")]
    if significant:
        chunks.insert(1, _chunk(b"sBIT", significant))
    if key:
        chunks.insert(1, _chunk(b"tRNS", key))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_of_12_bits(levels: np.ndarray) -> bytes:
    """A PNG whose lower 12 bits are scaled to these 8-bit levels, and which does not say so."""
    return png_of_16_bits(np.round(levels * (4095 / 255)))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
