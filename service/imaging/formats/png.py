"""PNG, checked to be whole, inflated by ISA-L, and of 16 bits as it is in the file.

Pillow passes over checksums of pixels, and of colours it keeps the upper half alone. It inflates by
the zlib of the system, which takes most of the time of a PNG.
"""

import struct
from dataclasses import replace
from io import BytesIO

import numpy as np
from isal.igzip_lib import DECOMP_ZLIB, IgzipDecompressor
from isal.isal_zlib import crc32
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from onegauge.service.errors import UnreadableImage
from onegauge.service.imaging.depth import CONTAINER, Samples
from onegauge.service.imaging.formats.decoder import decoder_errors

_GREY, _GREY_ALPHA, _RGBA = 0, 4, 6  # colour types
_HEADER = struct.Struct(">IIBBBBB")  # of IHDR, which is always the first chunk
_START, _END = 16, 29
BITS, COLOUR_TYPE = 24, 25  # places of the two in a file
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ZLIB = b"\x78\x01"  # what a stream of blocks begins with
_STORED = struct.Struct("<BHH")  # not the last, its length, and that inverted
_MOST_STORED = 0xFFFF


class PngFile(PngImageFile):
    """A PNG as Pillow reads it, whose pixels are inflated before: it unpacks stored blocks."""

    def load_prepare(self) -> None:
        """Called by Pillow before pixels are read."""
        super().load_prepare()
        self._inflating = IgzipDecompressor(DECOMP_ZLIB)
        self._start = _ZLIB

    def load_read(self, read_bytes: int) -> bytes:
        """Called by Pillow for more data of pixels; empty where there are none any more."""
        block = b""
        while not block and not self._inflating.eof:
            packed = b""
            if self._inflating.needs_input and not (packed := super().load_read(read_bytes)):
                break
            block = self._inflating.decompress(packed, _MOST_STORED)
        if not block:
            return b""
        start, self._start = self._start, b""
        return start + _STORED.pack(0, len(block), len(block) ^ _MOST_STORED) + block


def is_deep(data: bytes) -> bool:
    """Whether the content is a PNG of 16 bits."""
    return data.startswith(b"\x89PNG") and data[BITS : BITS + 1] == b"\x10"


def check(data: bytes) -> None:
    """Raise UnreadableImage where a chunk does not fit its checksum, or the end is missing."""
    view, at, kind = memoryview(data), len(_SIGNATURE), b""
    while kind != b"IEND":
        end = at + 8 + int.from_bytes(view[at : at + 4])
        kind = bytes(view[at + 4 : at + 8])
        if crc32(view[at + 4 : end]).to_bytes(4) != view[end : end + 4]:
            raise UnreadableImage(
                f"The image is truncated or corrupt: its part at byte {at} of {len(data)} is not "
                "whole."
            )
        at = end + 4


def samples(file: PngFile, data: bytes) -> Samples:
    """The samples uint16 of an opened PNG of 16 bits, with the depth that its `sBIT` declares."""
    check(data)
    values = _values(file, data)
    if (key := _chunk(data, b"tRNS")) and len(key) == 2 * values.shape[2]:
        opaque = (values != np.frombuffer(key, ">u2")).any(axis=2, keepdims=True)
        values = np.concatenate([values, opaque * np.uint16(2**CONTAINER - 1)], axis=2)
    plain = Samples(values, None)
    # How many bits of each channel are significant, alpha's last.
    significant = max(_chunk(data, b"sBIT")[: plain.colour.shape[2]], default=0)
    if not 0 < significant < CONTAINER:
        return plain
    declared = CONTAINER if _is_spread(plain, significant) else significant
    return replace(plain, declared=declared)


def _values(file: PngFile, data: bytes) -> NDArray[np.uint16]:
    """(H, W, C)."""
    if data[COLOUR_TYPE] == _GREY:
        return _pixels(file).astype(np.uint16, copy=False)[..., np.newaxis]
    if data[COLOUR_TYPE] == _GREY_ALPHA:
        # The same bytes are RGBA of 8 bits: the halves of grey, and those of alpha.
        return _pixels(_opened(_with_header(data, 8, _RGBA))).view(">u2").astype(np.uint16)
    high, again = _pixels(file), _opened(data)
    # Told that the bytes of a sample are in the other order, Pillow keeps the lower ones.
    again.tile = [tile._replace(args=_other_order(tile.args)) for tile in again.tile]
    return np.left_shift(high, 8, dtype=np.uint16) | _pixels(again)


def _opened(data: bytes) -> PngFile:
    with decoder_errors():
        return PngFile(BytesIO(data))


def _pixels(file: PngFile) -> NDArray[np.uint8]:
    with decoder_errors():
        file.load()
    return np.asarray(file)


def _other_order(args: tuple[object, ...] | str | None) -> tuple[object, ...] | str | None:
    return args.replace(";16B", ";16L") if isinstance(args, str) else args


def _with_header(data: bytes, bits: int, colour_type: int) -> bytes:
    width, height, _, _, *rest = _HEADER.unpack(data[_START:_END])
    chunk = b"IHDR" + _HEADER.pack(width, height, bits, colour_type, *rest)
    return data[:12] + chunk + struct.pack(">I", crc32(chunk)) + data[_END + 4 :]


def _chunk(data: bytes, wanted: bytes) -> bytes:
    """What is in a chunk before the pixels, empty where there is none of that kind."""
    at = _END + 4
    while (kind := data[at + 4 : at + 8]) not in (b"", b"IDAT"):
        length = int.from_bytes(data[at : at + 4])
        if kind == wanted:
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return b""


def _is_spread(samples: Samples, significant: int) -> bool:
    """Whether the significant bits are the upper ones, as the standard asks.

    Those below repeat them or are zero. Cameras fill the lower bits instead.
    """
    values = samples.colour.astype(np.int32)
    upper = values >> (CONTAINER - significant)
    spread = upper * (2**CONTAINER - 1) // (2**significant - 1)
    zeros = upper << (CONTAINER - significant)
    return bool((zeros == values).all() or (abs(spread - values) <= 1).all())
