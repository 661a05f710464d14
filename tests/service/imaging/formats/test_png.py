import struct
import tracemalloc
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from onegauge.service.errors import UnreadableImage
from onegauge.service.imaging.depth import Samples
from onegauge.service.imaging.formats import png
from onegauge.service.imaging.image import read_original
from onegauge.service.imaging.tiles import TiledPicture, Tiling
from rig.pictures import encode, picture, png_of_16_bits

RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 4096, (13, 17, 4)).astype(np.uint16)


def whole(data: bytes) -> None:
    read_original(data, max_pixels=10**4)


def in_tiles(data: bytes) -> None:
    list(TiledPicture(data, Tiling(24, 8), (16, 16), max_pixels=10**4))


def samples(data: bytes) -> Samples:
    return png.samples(png.PngFile(BytesIO(data)), data)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_16_bits_of_each_channel_are_kept(channels):
    values = RNG.integers(0, 65536, (13, 17, channels)).astype(np.uint16)
    found = samples(png_of_16_bits(values))
    np.testing.assert_array_equal(found.values, values)
    assert found.declared is None


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_colour_is_known_by_all_its_bits(channels):
    values = np.full((1, 3, channels), 0x1234, np.uint16)
    values[0, 1] += 1
    values[0, 2, 0] = 7
    found = samples(png_of_16_bits(values, key=channels * b"\x12\x34")).values
    np.testing.assert_array_equal(found[..., :-1], values)
    assert found[0, :, -1].tolist() == [0, 65535, 65535]


def test_8_bits_are_left_alone():
    assert png.is_deep(png_of_16_bits(VALUES))
    assert not png.is_deep(encode(picture()))
    assert not png.is_deep(encode(picture(), "TIFF"))


@pytest.mark.parametrize(
    ("values", "significant"),
    [
        (VALUES[..., :1], b"\x0c"),
        (VALUES[..., :2], b"\x0c\x10"),
        (VALUES[..., :3], b"\x0c\x0c\x0c"),
        (VALUES, b"\x0c\x0b\x0c\x10"),
    ],
)
def test_significant_bits_are_the_depth(values, significant):
    assert samples(png_of_16_bits(values, significant)).declared == 12


@pytest.mark.parametrize(
    "values",
    [VALUES << 4, VALUES << 4 | VALUES >> 8, np.round(VALUES / 4095 * 65535), VALUES[:] >> 5 << 4],
    ids=["zeros below", "repeated below", "scaled", "dark"],
)
def test_significant_bits_at_the_upper_end_have_the_full_range(values):
    assert samples(png_of_16_bits(values, b"\x0c\x0c\x0c\x0c")).declared == 16


def test_values_beyond_the_significant_bits_do_not_make_them_more():
    values = VALUES.copy()
    values[0, 0, 0] = 5001
    assert samples(png_of_16_bits(values, b"\x0c\x0c\x0c\x0c")).declared == 12


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("read", [whole, in_tiles])
def test_each_changed_bit_of_the_pixels_and_a_missing_end_are_noticed(bits, read):
    data = encode(picture(), compress_level=0) if bits == 8 else png_of_16_bits(VALUES)
    read(data + b"trailer")
    last = data.index(b"IEND") - 9  # of the data, before their checksum
    for place in (*range(data.index(b"IDAT") + 4, last, 97), *range(last - 9, last)):
        changed = bytearray(data)
        changed[place] ^= 4
        with pytest.raises(UnreadableImage):
            read(bytes(changed))
    for kept in (-1, -12, -13):
        with pytest.raises(UnreadableImage):
            read(data[:kept])


def test_a_palette_that_is_missing_is_no_mistake_of_ours():
    data = encode(picture().quantize(4))
    start = data.index(b"PLTE") - 4
    with pytest.raises(UnreadableImage, match="palette"):
        whole(data[:start] + data[data.index(b"IDAT") - 4 :])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_pixels(data: bytes, *stored: bytes) -> bytes:
    """The same file with these parts as its compressed pixels."""
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    return data[:start] + b"".join(chunk(b"IDAT", part) for part in stored) + data[end:]


def packed(data: bytes) -> bytes:
    """The compressed pixels of a file."""
    pixels, at = b"", data.index(b"IDAT") - 4
    while data[at + 4 : at + 8] == b"IDAT":
        end = at + 8 + int.from_bytes(data[at : at + 4])
        pixels, at = pixels + data[at + 8 : end], end + 4
    return pixels


def unpacked(data: bytes) -> bytes:
    return zlib.decompress(packed(data))


NOISE = RNG.integers(0, 256, (301, 203, 4), np.uint8)  # several blocks of what is inflated
MODES = {
    "1": Image.fromarray(NOISE[..., 0]).convert("1"),
    "L": Image.fromarray(NOISE[..., 0]),
    "LA": Image.fromarray(NOISE[..., :2], "LA"),
    "P": Image.fromarray(NOISE[..., :3]).quantize(200),
    "P of 4 bits": Image.fromarray(NOISE[..., :3]).quantize(9),
    "RGB": Image.fromarray(NOISE[..., :3]),
    "RGBA": Image.fromarray(NOISE),
}


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("mode", MODES)
def test_pixels_are_those_of_pillow(mode, level):
    data = encode(MODES[mode], compress_level=level)
    found = png.PngFile(BytesIO(data))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(MODES[mode]))


def test_interlaced_pixels_are_those_of_others():
    values = NOISE[..., 0]
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    rows = [values[y::dy, x::dx] for y, x, dy, dx in (*passes, (1, 0, 2, 1))]
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for part in rows for row in part))
    data = bytearray(with_pixels(encode(MODES["L"]), pixels))
    data[12:33] = chunk(b"IHDR", data[16:28] + b"\1")[4:]
    found = read_original(bytes(data), max_pixels=10**6)
    np.testing.assert_array_equal(np.asarray(found)[..., 0], values)


@pytest.mark.parametrize("size", [1, 2, 1000, 70_000])
def test_compressed_pixels_may_be_cut_anywhere(size):
    image = MODES["RGB"].crop((0, 0, 20, 20)) if size < 1000 else MODES["RGB"]
    data = encode(image)
    pixels = packed(data)
    parts = [pixels[at : at + size] for at in range(0, len(pixels), size)]
    cut = with_pixels(data, b"", *parts[:1], b"", *parts[1:])
    np.testing.assert_array_equal(np.asarray(read_original(cut, max_pixels=10**6)), image)


@pytest.mark.parametrize(
    "stored",
    [
        packed(encode(MODES["L"]))[:-4] + b"fake",
        packed(encode(MODES["L"]))[: -len(NOISE)],
        b"\x78\x9cno deflate",
        zlib.compress(unpacked(encode(MODES["L"]))[:-1]),
        b"",
    ],
    ids=["another checksum", "cut", "something else", "a pixel too few", "nothing"],
)
def test_what_does_not_inflate_to_the_picture_is_noticed(stored):
    with pytest.raises(UnreadableImage):
        read_original(with_pixels(encode(MODES["L"]), stored), max_pixels=10**6)


def test_no_more_is_inflated_than_the_picture_has():
    data = encode(MODES["L"])
    longer = with_pixels(data, zlib.compress(unpacked(data) + bytes(2**26)))
    tracemalloc.start()
    read_original(longer, max_pixels=10**6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22
