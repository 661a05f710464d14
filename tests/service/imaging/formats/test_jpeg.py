from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from onegauge.service.errors import ImageError, UnreadableImage, UnsupportedImage
from onegauge.service.imaging.formats import jpeg
from onegauge.service.imaging.image import read_image, read_original
from rig.pictures import encode, picture

RNG = np.random.default_rng(0)
EOI = b"\xff\xd9"


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Smooth colours with the noise of a camera."""
    coarse = Image.fromarray(RNG.integers(0, 256, (9, 11, 3), np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    noisy = pixels + RNG.integers(-9, 10, pixels.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).convert(mode)


def by_pillow(data: bytes, at_least: int | None) -> np.ndarray:
    file = JpegImageFile(BytesIO(data))
    if at_least:
        file.draft(None, (at_least, at_least))
    return np.asarray(file)


@pytest.mark.parametrize("size", [(401, 299), (33, 17), (8, 8), (7, 5), (2, 2), (1, 1), (200, 7)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_pixels_are_those_that_models_were_trained_on(size, mode, options):
    for subsampling in (0, 1, 2) if mode == "RGB" else (-1,):
        data = encode(photo(*size, mode), "JPEG", subsampling=subsampling, **options)
        for at_least in (None, 16, 48, 100):
            found = jpeg.decode(JpegImageFile(BytesIO(data)), data, at_least)
            np.testing.assert_array_equal(np.asarray(found), by_pillow(data, at_least))


def test_colours_that_were_not_converted_are_not_converted_back():
    data = encode(photo(64, 48), "JPEG", keep_rgb=True)
    found = np.asarray(read_original(data, max_pixels=10**6))
    np.testing.assert_array_equal(found, by_pillow(data, None))


DATA = encode(photo(640, 480), "JPEG", quality=90)


@pytest.mark.parametrize("lost", [512, 4096])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_data_that_were_lost_are_noticed_also_at_a_reduced_scale(lost, at, options):
    data = encode(photo(640, 480), "JPEG", quality=90, **options)
    start = int(at * len(data))
    damaged = data[:start] + data[start + lost :]
    for read in (
        lambda: read_original(damaged, max_pixels=10**6),
        lambda: read_image(damaged, (64, 64), max_pixels=10**6),
        lambda: jpeg.check(damaged),
    ):
        with pytest.raises(UnreadableImage, match="truncated or corrupt"):
            read()


@pytest.mark.parametrize(
    "damaged",
    [DATA[:-2], DATA[:-12] + EOI, DATA[:-2] + b"\x17" * 64 + EOI, DATA[:-2] + b"trailer"],
    ids=["no end", "cut, and an end", "more than the picture", "no end, and a trailer"],
)
def test_data_that_do_not_end_with_the_picture_are_noticed(damaged):
    with pytest.raises(UnreadableImage):
        read_original(damaged, max_pixels=10**6)


@pytest.mark.parametrize("harmless", [DATA + b"trailer" * 100, DATA[:-2] + b"\xff" * 9 + EOI])
def test_what_stands_behind_the_data_does_not_matter(harmless):
    found = read_original(harmless, max_pixels=10**6)
    np.testing.assert_array_equal(np.asarray(found), by_pillow(DATA, None))
    jpeg.check(harmless)


def with_frame(marker: int, bits: int = 8, channels: int = 3, height: int = 40) -> bytes:
    data = bytearray(encode(picture(), "JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 7] = height.to_bytes(2)
    data[start + 1], data[start + 4], data[start + 9] = marker, bits, channels
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (with_frame(0xC3), "Lossless JPEG"),
        (with_frame(0xCB), "Lossless JPEG"),
        (with_frame(0xC5), "Hierarchical JPEG"),
        (with_frame(0xF7), "JPEG-LS"),
        (with_frame(0xC1, bits=12), "JPEG of 12 bits"),
        (with_frame(0xC0, channels=2), "JPEG of 2 channels"),
        (with_frame(0xC0, height=0), "JPEG that tells its height behind"),
    ],
)
def test_a_kind_that_is_not_decoded_is_named(data, name):
    with pytest.raises(UnsupportedImage, match=name):
        read_original(data, max_pixels=10**6)


def oddly_sampled() -> bytes:
    """Grey 128 of 16 x 16 pixels, whose colours are finer than its brightness."""
    data = bytearray(encode(Image.new("RGB", (16, 16), (128,) * 3), "JPEG", subsampling=0))
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for channel, factors in enumerate((0x11, 0x22, 0x22)):
        data[frame + 11 + 3 * channel] = factors
    bits = ("001010" + 8 * "0000").ljust(40, "1")  # one block, and four of each colour
    end = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4])
    return bytes(data[:end]) + int(bits, 2).to_bytes(5) + EOI


def test_colours_sampled_in_a_way_that_hides_damage_are_refused():
    for read in (lambda data: read_original(data, max_pixels=10**6), jpeg.check):
        with pytest.raises(UnsupportedImage, match="sampled in an unusual way"):
            read(oddly_sampled())


def test_an_odd_header_is_an_image_error():
    head = len(DATA) // 40
    for trial in range(200):
        rng, data = np.random.default_rng(trial), bytearray(DATA)
        data[2 + int(rng.integers(head))] = int(rng.integers(256))
        try:
            read_image(bytes(data), (16, 16), max_pixels=10**6)
        except ImageError:
            continue
