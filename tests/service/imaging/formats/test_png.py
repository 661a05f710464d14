from io import BytesIO

import numpy as np
import pytest
from PIL.PngImagePlugin import PngImageFile

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
    return png.samples(PngImageFile(BytesIO(data)), data)


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
