"""Samples of those TIFFs that Pillow gets wrong, or of which it keeps the upper half alone.

It decodes a twin of the file: the same data under tags that call them grey, of one sample for each
pixel. What the samples really are is made of that here.
"""

import struct
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from onegauge.service.imaging.depth import CONTAINER, DEPTHS, Samples
from onegauge.service.imaging.formats import tiff as tags
from onegauge.service.imaging.formats.decoder import decoder_errors
from onegauge.service.imaging.formats.tiff import Segment, Tiff

_LONG = 4  # type of a tag
_ROWS_AT_A_TIME = 256


def tiff_samples(tiff: Tiff) -> Samples:
    """The samples, not turned upright; raises UnreadableImage."""
    tiff.check()
    segments = tiff.segments()
    planes = tiff.channels if tiff.is_planar else 1
    each = len(segments) // planes
    parts = [_plane(tiff, segments[i * each : (i + 1) * each]) for i in range(planes)]
    colours = tags.COLOURS[tiff.photometric]
    kinds = tiff.extra or (tags.STRAIGHT,) * (tiff.channels == 4)
    has_alpha = tiff.channels > colours and kinds[:1] == (tags.STRAIGHT,)
    return Samples(
        np.concatenate(parts, axis=2)[..., : colours + has_alpha],
        _declared(tiff),
        inverted=tiff.photometric == tags.WHITE_IS_0,
    )


def _declared(tiff: Tiff) -> int | None:
    """The depth that the file declares: 16 bits are no more than a container."""
    if tiff.bits != CONTAINER:
        return tiff.bits
    highest = max(tiff.numbers(tags.HIGHEST, (0,)))  # possible, or that of this picture: no depth
    return next((bits for bits in DEPTHS[:-1] if highest == 2**bits - 1), None)


def _plane(tiff: Tiff, segments: Sequence[Segment]) -> NDArray[np.uint16]:
    """The samples (H, W, C) of a plane, or of all channels where they lie side by side."""
    width, height = tiff.size
    channels = 1 if tiff.is_planar else tiff.channels
    side = tiff.number(tags.TILE_WIDTH) if tiff.is_tiled else width
    values = _twin(tiff, channels, segments)
    if tiff.stored_bits % 8:
        values = _unpacked(values, width * channels, tiff.stored_bits)
    values = values.astype(np.uint16).reshape(height, width, channels)
    if tiff.number(tags.PREDICTOR, 1) == 1:
        return values
    # Each was stored as the difference to its left, tile by tile.
    starts = range(0, width, side)
    columns = [values[:, x : x + side].cumsum(axis=1, dtype=np.uint16) for x in starts]
    return np.concatenate(columns, axis=1) & np.uint16(2**tiff.stored_bits - 1)


def _twin(tiff: Tiff, channels: int, segments: Sequence[Segment]) -> NDArray[np.generic]:
    """What Pillow decodes of segments as grey (H, W): samples, or bytes where bits are packed."""
    width, height = tiff.size

    def across(pixels: int) -> int:
        samples = pixels * channels
        return -(-samples * tiff.stored_bits // 8) if tiff.stored_bits % 8 else samples

    told = {
        tags.WIDTH: [across(width)],
        tags.HEIGHT: [height],
        tags.BITS: [8 if tiff.stored_bits % 8 else tiff.stored_bits],
        tags.COMPRESSION: [tiff.compression],
        tags.PHOTOMETRIC: [tags.GREY],
        tags.SAMPLES: [1],
    }
    places, sizes = [part.offset for part in segments], [part.size for part in segments]
    if tiff.is_tiled:
        told |= {tags.TILE_WIDTH: [across(tiff.number(tags.TILE_WIDTH))]}
        told |= {tags.TILE_HEIGHT: [tiff.number(tags.TILE_HEIGHT)]}
        told |= {tags.TILES: places, tags.TILE_SIZES: sizes}
    else:
        told |= {tags.ROWS: [min(tiff.number(tags.ROWS, height), height)]}
        told |= {tags.STRIPS: places, tags.STRIP_SIZES: sizes}
    order, at = "<" if tiff.tags.prefix == b"II" else ">", len(tiff.data) + len(tiff.data) % 2
    start = tiff.tags.prefix + struct.pack(f"{order}HL", 42, at)
    padding = bytes(at - len(tiff.data))
    twin = (start, memoryview(tiff.data)[8:], padding, _directory(told, order, at))
    with decoder_errors():
        file = TiffImageFile(BytesIO(b"".join(twin)))
        file.load()
    return np.asarray(file)


def _directory(told: dict[int, list[int]], order: str, at: int) -> bytes:
    """A directory of numbers for place `at` of a file."""
    entries, behind = b"", b""
    end = at + 2 + 12 * len(told) + 4
    for tag, values in sorted(told.items()):
        place = values if len(values) == 1 else [end + len(behind)]
        entries += struct.pack(f"{order}HHLL", tag, _LONG, len(values), *place)
        if len(values) > 1:
            behind += struct.pack(f"{order}{len(values)}L", *values)
    return struct.pack(f"{order}H", len(told)) + entries + bytes(4) + behind


def _unpacked(rows: NDArray[np.generic], count: int, bits: int) -> NDArray[np.uint16]:
    """The first `count` samples of each row (H, bytes), whose bits follow each other."""
    samples = np.empty((len(rows), count), np.uint16)
    for top in range(0, len(rows), _ROWS_AT_A_TIME):  # as each bit is a byte meanwhile
        some = rows[top : top + _ROWS_AT_A_TIME].astype(np.uint8)
        wide = np.zeros((len(some), count, CONTAINER), np.uint8)
        flat = np.unpackbits(some, axis=1, count=count * bits)
        wide[..., CONTAINER - bits :] = flat.reshape(len(some), count, bits)
        samples[top : top + len(some)] = np.packbits(wide, axis=2).view(">u2")[..., 0]
    return samples
