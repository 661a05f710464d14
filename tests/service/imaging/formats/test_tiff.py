from io import BytesIO
from itertools import product

import numpy as np
import pytest
from PIL import Image
from tifffile import TiffWriter, imwrite

from onegauge.service.errors import (
    MultiFrameImage,
    TooManyPixels,
    UnreadableImage,
    UnsupportedImage,
)
from onegauge.service.imaging.formats.tiff import Tiff
from onegauge.service.imaging.image import read_original
from rig.pictures import encode, oriented, picture

HEIGHT, WIDTH = 40, 37
PARTS = ({}, {"rowsperstrip": 7}, {"tile": (16, 16)})
PACKED = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "tiff_lzma")


def noise(channels: int, dtype: str) -> np.ndarray:
    top = np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    return rng.integers(0, top, (HEIGHT, WIDTH, channels), dtype, endpoint=True)


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def read(data: bytes) -> np.ndarray:
    return np.asarray(read_original(data, max_pixels=10**6)).astype(int)


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels / np.iinfo(pixels.dtype).max * 255)


def grey_of(levels: np.ndarray) -> np.ndarray:
    return np.broadcast_to(levels.reshape(HEIGHT, WIDTH, 1), (HEIGHT, WIDTH, 3))


LAYOUTS = [
    (order, big, parts, compression)
    for order, big, parts in product("<>", (False, True), PARTS)
    for compression in (None, "zlib")
    if not (order == ">" and big)
]


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_pixels_are_those_of_the_file_in_every_layout(dtype):
    grey, colour = noise(1, dtype)[..., 0], noise(3, dtype)
    for order, big, parts, compression in LAYOUTS:
        layout = {"byteorder": order, "bigtiff": big, "compression": compression, **parts}
        layout["predictor"] = compression is not None
        planes = np.moveaxis(colour, 2, 0)
        for pixels, options, seen in (
            (grey, {"photometric": "minisblack"}, grey_of(eight_bits(grey))),
            (grey, {"photometric": "miniswhite"}, 255 - grey_of(eight_bits(grey))),
            (colour, {"photometric": "rgb"}, eight_bits(colour)),
            (planes, {"photometric": "rgb", "planarconfig": "separate"}, eight_bits(colour)),
        ):
            difference = abs(read(tiff(pixels, **options, **layout)) - seen)
            assert difference.max() <= 1, (options, layout)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
def test_a_fourth_channel_is_what_its_tag_says(dtype, planar, kind):
    pixels = noise(4, dtype)
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    seen = eight_bits(pixels)[..., :3]
    if kind == "unassalpha":
        seen = seen * pixels[..., 3:] / np.iinfo(dtype).max
    stored = pixels if planar == "contig" else np.moveaxis(pixels, 2, 0)
    for parts in PARTS:
        data = tiff(stored, photometric="rgb", planarconfig=planar, extrasamples=[kind], **parts)
        assert abs(read(data) - seen).max() <= 3


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_alpha_of_0_everywhere_is_a_channel_that_nobody_uses(dtype, kind):
    pixels = noise(4, dtype)
    pixels[..., 3] = 0
    data = tiff(pixels, photometric="rgb", planarconfig="contig", extrasamples=[kind])
    assert abs(read(data) - eight_bits(pixels)[..., :3]).max() <= 1


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
def test_grey_may_have_a_second_channel(dtype, kind):
    pixels = noise(2, dtype)
    seen = eight_bits(pixels)[..., :1]
    if kind == "unassalpha":
        seen = seen * pixels[..., 1:] / np.iinfo(dtype).max
    data = tiff(pixels, photometric="minisblack", planarconfig="contig", extrasamples=[kind])
    assert abs(read(data) - seen).max() <= 3


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_bits_without_gaps_are_samples_of_that_depth(bits, channels):
    pixels = (noise(channels, "u2") >> (16 - bits)).squeeze()
    seen = np.round(pixels.reshape(HEIGHT, WIDTH, -1) / (2**bits - 1) * 255)
    photometric = "minisblack" if channels == 1 else "rgb"
    for parts in PARTS:
        data = tiff(pixels, photometric=photometric, bitspersample=bits, **parts)
        assert abs(read(data) - seen).max() <= 1, parts


def with_tag(data: bytes, tag: int, old: int, new: int) -> bytes:
    """A little-endian file with another value of a tag of one short number."""
    start = data.index(tag.to_bytes(2, "little") + b"\3\0\1\0\0\0" + old.to_bytes(2, "little"))
    return data[: start + 8] + new.to_bytes(2, "little") + data[start + 10 :]


def test_fewer_bits_may_be_declared_of_samples_that_fill_16():
    pixels = noise(1, "u2")[..., 0] >> 4
    data = with_tag(tiff(pixels, photometric="minisblack"), 258, 16, 12)
    np.testing.assert_array_equal(read(data), grey_of(np.round(pixels / 4095 * 255)))


@pytest.mark.parametrize(("highest", "declared"), [(4095, 12), (1023, 10), (3017, None)])
def test_the_highest_possible_value_declares_the_depth(highest, declared):
    data = tiff(noise(1, "u2")[..., 0] >> 6, extratags=[(281, "H", 1, highest, True)])
    assert Tiff.read(data).has_samples
    level = read(data).max()
    assert level == round(1023 * 255 / (2 ** (declared or 16) - 1))


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16"])
def test_what_pillow_writes_is_read(compression, mode):
    image = Image.fromarray(noise(1, "u2")[..., 0]) if mode == "I;16" else picture().convert(mode)
    packed, plain = encode(image, "TIFF", compression=compression), encode(image, "TIFF")
    np.testing.assert_array_equal(read(packed), read(plain))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_samples_are_turned_upright_too(orientation):
    pixels = noise(1, "u2")[..., 0] >> 8
    grey = Image.fromarray(pixels.astype(np.uint8))
    deep = tiff(pixels * 257, extratags=[(274, "H", 1, orientation, True)])
    plain = encode(grey, "PNG", exif=oriented(orientation))
    np.testing.assert_array_equal(read(deep), read(plain))


FLOATS = np.zeros((8, 8), "f8")
OF_12_BITS, EXACT = {"bitspersample": 12}, {"lossless": True}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (tiff(FLOATS), "floats"),
        (tiff(FLOATS.astype("f4")), "floats"),
        (tiff(FLOATS.astype("i1")), "signed integers"),
        (tiff(FLOATS.astype("i2")), "signed integers"),
        (tiff(FLOATS.astype("u4")), "32 bits"),
        (tiff(FLOATS.astype("u1"), photometric="cfa"), "camera raw"),
        (tiff(np.zeros((8, 8, 3), "u1"), photometric="cielab"), "CIELAB"),
        (tiff(np.zeros((8, 8, 3), "u1"), photometric="rgb", bitspersample=4), "3 samples of 4"),
        (tiff(np.zeros((8, 8, 9), "u1"), planarconfig="contig"), "9 samples"),
        (with_tag(tiff(FLOATS.astype("u2")), 262, 1, 2), "1 samples"),
        (tiff(np.zeros((4, 8, 8), "u2"), photometric="separated", planarconfig="separate"), "16 b"),
        (with_tag(tiff(FLOATS.astype("u1")), 259, 1, 34712), "JPEG 2000"),
        (with_tag(tiff(FLOATS.astype("u1")), 259, 1, 50002), "JPEG XL"),
        (with_tag(tiff(FLOATS.astype("u1")), 259, 1, 34887), "LERC"),
        (with_tag(tiff(FLOATS.astype("u1")), 259, 1, 12345), "scheme 12345"),
        (tiff(FLOATS.astype("u1"), byteorder=">", bigtiff=True), "BigTIFF"),
        (tiff(FLOATS.astype("u1"), compression="packbits", predictor=True), "with predictor 2"),
        (tiff(FLOATS.astype("u2"), compression="jpeg", compressionargs=OF_12_BITS), "of 12 bits"),
        (tiff(FLOATS.astype("u1"), compression="jpeg", compressionargs=EXACT), "Lossless JPEG"),
    ],
)
def test_a_kind_that_is_not_read_is_named(data, what):
    with pytest.raises(UnsupportedImage, match=what):
        read(data)


def test_colours_that_are_sampled_less_often_are_not_read_as_pixels():
    data = tiff(noise(3, "u1"), photometric="ycbcr", subsampling=(1, 1))
    assert read(data).shape == (HEIGHT, WIDTH, 3)
    pair = (2).to_bytes(2, "little") + b"\3\0" + (2).to_bytes(4, "little") + b"\1\0\1\0"
    start = data.index((530).to_bytes(2, "little") + pair[2:])
    with pytest.raises(UnsupportedImage, match="YCbCr"):
        read(data[: start + 8] + b"\2\0\2\0" + data[start + 12 :])


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("parts", PARTS, ids=["one", "strips", "tiles"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_data_that_are_missing_are_noticed(dtype, parts, compression):
    data = tiff(noise(3, dtype), photometric="rgb", compression=compression, **parts)
    for damaged in (data[:-1], data[:-64], data[: len(data) // 2]):
        with pytest.raises(UnreadableImage):
            read(damaged)


def test_a_strip_that_is_too_short_is_not_filled_from_the_next():
    file = Tiff.read(tiff(noise(1, "u1")[..., 0], rowsperstrip=10))
    sizes = (4 * (370).to_bytes(4, "little"), 370)
    data = file.data.replace(sizes[0], (370).to_bytes(4, "little") * 3 + (99).to_bytes(4, "little"))
    if data == file.data:
        data = file.data.replace(4 * (370).to_bytes(2, "little"), 3 * b"\x72\1" + b"\x63\0")
    assert data != file.data
    with pytest.raises(UnreadableImage, match="part 3"):
        read(data)


@pytest.mark.parametrize("predictor", [1, 2])
def test_deflate_is_checked_by_its_checksum(predictor):
    image = Image.fromarray(noise(3, "u1")).resize((120, 90), Image.Resampling.BICUBIC)
    options = {"compression": "tiff_adobe_deflate", "tiffinfo": {317: predictor}}
    data = encode(image, "TIFF", **options)
    read(data)
    for place in range(len(data) // 4, len(data) // 2, 997):
        with pytest.raises(UnreadableImage):
            read(data[:place] + bytes(64) + data[place + 64 :])


def test_jpeg_in_tiff_is_checked_as_jpeg_is():
    data = encode(Image.fromarray(noise(3, "u1")).resize((400, 300)), "TIFF", compression="jpeg")
    read(data)
    middle = len(data) // 2
    with pytest.raises(UnreadableImage):
        read(data[:middle] + bytes(64) + data[middle + 64 :])


def test_pages_and_pixels_are_counted_of_samples_too():
    file = BytesIO()
    with TiffWriter(file) as writer:
        for _ in range(3):
            writer.write(noise(1, "u2")[..., 0], metadata=None)
    with pytest.raises(MultiFrameImage, match="3 frames"):
        read(file.getvalue())
    with pytest.raises(TooManyPixels):
        read_original(tiff(noise(1, "u2")[..., 0]), max_pixels=HEIGHT * WIDTH - 1)


def test_a_tile_that_is_far_larger_than_the_picture_is_not_unpacked():
    data = tiff(noise(1, "u1")[..., 0], tile=(64, 64), compression="zlib")
    read(data)
    for tag in (322, 323):
        start = data.index(tag.to_bytes(2, "little") + b"\4\0\1\0\0\0\x40\0")
        data = data[: start + 8] + (32768).to_bytes(4, "little") + data[start + 12 :]
    with pytest.raises(UnreadableImage, match="a tile of 32768 x 32768"):
        read(data)
