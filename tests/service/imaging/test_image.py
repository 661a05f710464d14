import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from onegauge.service.errors import (
    ImageError,
    MultiFrameImage,
    TooManyPixels,
    UnreadableImage,
    UnsupportedImage,
)
from onegauge.service.imaging.image import (
    InputImage,
    media_type,
    read_image,
    read_original,
    read_reduced,
)
from rig.pictures import (
    animation,
    encode,
    oriented,
    picture,
    png_header,
    png_of_16_bits,
)

LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}
RAMP = np.arange(0, 2**16, 257, dtype=np.uint16).reshape(16, 16)  # every 8-bit level once


def read(data: bytes, size: tuple[int, int] = (16, 16), max_pixels: int = 10**6) -> InputImage:
    return read_image(data, size, max_pixels=max_pixels)


@pytest.mark.parametrize("encoding", LOSSLESS)
def test_lossless_formats_give_the_same_pixels(encoding):
    image = picture()
    read_back = read(encode(image, encoding, **LOSSLESS[encoding]), (40, 60))
    np.testing.assert_array_equal(read_back.pixels, np.array(image))


def test_resizes_to_height_and_width_whatever_the_aspect_ratio():
    result = read(encode(picture(60, 40)), (30, 20))
    assert result.pixels.shape == (30, 20, 3)
    assert result.pixels.dtype == np.uint8
    assert (result.width, result.height) == (60, 40)
    np.testing.assert_array_equal(result.pixels[0, 0], (250, 10, 10))
    np.testing.assert_array_equal(result.pixels[-1, -1], (10, 10, 250))


def test_resized_pixels_are_those_that_models_were_trained_on():
    y, x = np.mgrid[:7, :9]
    texture = (29 * x * x + 13 * x * y + 7 * y * y) % 256
    pixels = read(encode(Image.fromarray(texture.astype(np.uint8))), (3, 4)).pixels
    assert pixels[..., 0].tolist() == [
        [54, 87, 108, 133],
        [95, 105, 132, 139],
        [125, 105, 119, 136],
    ]


def test_resizing_averages_fine_detail_instead_of_sampling_it():
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    pixels = read(encode(stripes), (8, 8)).pixels
    assert abs(pixels.astype(int) - 127).max() <= 8


@pytest.mark.parametrize("encoding", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_16_bit_grey_keeps_its_full_range(encoding, dtype):
    data = encode(Image.fromarray(RAMP.astype(dtype)), encoding)
    np.testing.assert_array_equal(read(data).pixels[..., 1], np.arange(256).reshape(16, 16))


def test_16_bit_grey_is_rounded():
    values = np.array([[128, 129], [65406, 65407]], np.uint16)
    pixels = read(encode(Image.fromarray(values)), (2, 2)).pixels[..., 0]
    assert pixels.tolist() == [[0, 1], [254, 255]]


def test_16_bit_tiff_whose_white_is_0_is_not_read_as_a_negative():
    white_is_0 = {ExifTags.Base.PhotometricInterpretation: 0}
    data = encode(Image.fromarray(2**16 - 1 - RAMP), "TIFF", tiffinfo=white_is_0)
    np.testing.assert_array_equal(read(data).pixels[..., 1], np.arange(256).reshape(16, 16))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_opaque_modes_become_the_same_rgb(mode):
    white = Image.new("L", (16, 16), 255).convert(mode)
    data = encode(white, "TIFF")
    assert Image.open(BytesIO(data)).mode == mode
    assert (read(data).pixels == 255).all()


def test_cmyk_jpeg_is_read():
    pixels = read(encode(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG")).pixels
    assert pixels[..., 0].min() > 240
    assert pixels[..., 1:].max() < 15


def test_alpha_is_composited_onto_black():
    half = Image.new("RGBA", (16, 16), (200, 100, 50, 128))
    np.testing.assert_allclose(read(encode(half)).pixels[0, 0], (100, 50, 25), atol=1)


def test_grey_alpha_is_composited_onto_black():
    image = Image.new("LA", (16, 16), (255, 255))
    image.paste((255, 0), (0, 0, 8, 16))
    assert (read(encode(image)).pixels[0, :, 0] == [0] * 8 + [255] * 8).all()


def test_transparent_palette_entry_becomes_black():
    image = Image.new("P", (16, 16), 1)
    image.putpalette([90, 90, 90, 255, 255, 255])
    image.paste(0, (0, 0, 8, 16))
    assert (read(encode(image)).pixels[0, :, 0] == [90] * 8 + [255] * 8).all()
    assert (read(encode(image, transparency=1)).pixels[0, :, 0] == [90] * 8 + [0] * 8).all()


def unused_alpha(mode: str) -> Image.Image:
    image = picture().convert(mode)
    image.putalpha(0)
    return image


def bmp_with_a_fourth_byte() -> bytes:
    """One whose header calls the byte alpha, and which leaves it 0."""
    rows = np.dstack([np.asarray(picture())[::-1, :, ::-1], np.zeros((40, 60), np.uint8)])
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, 60, 40, 1, 32, 3, 0, 0, 0, 0, 0) + masks + bytes(52)
    file = struct.pack("<2sIHHI", b"BM", 14 + len(info) + rows.size, 0, 0, 14 + len(info))
    return file + info + rows.tobytes()


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (encode(unused_alpha("RGBA")), picture()),
        (encode(unused_alpha("RGBA"), "TIFF"), picture()),
        (encode(unused_alpha("RGBA"), "TIFF", compression="tiff_lzw"), picture()),
        (encode(unused_alpha("LA")), picture().convert("L")),
        (encode(unused_alpha("LA"), "TIFF"), picture().convert("L")),
        (bmp_with_a_fourth_byte(), picture()),
        (encode(picture().convert("P"), transparency=bytes(256)), picture().convert("P")),
        (png_of_16_bits(np.dstack([np.asarray(picture()), np.zeros((40, 60))]) * 257), picture()),
    ],
    ids=["png", "tiff", "lzw", "grey", "grey tiff", "bmp", "palette", "16 bits"],
)
def test_alpha_of_0_everywhere_is_a_byte_that_nobody_uses(data, seen):
    np.testing.assert_array_equal(read(data, (40, 60)).pixels, np.asarray(seen.convert("RGB")))


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(encoding, orientation):
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = picture()
    image = upright if orientation == 1 else upright.transpose(stored[orientation])
    result = read(encode(image, encoding, exif=oriented(orientation)), (40, 60))
    assert (result.width, result.height) == (60, 40)
    np.testing.assert_allclose(result.pixels[2::35, 2::55], np.array(upright)[2::35, 2::55], atol=6)


def test_damaged_exif_does_not_matter():
    data = encode(picture(), exif=b"Exif\x00\x00nonsense")
    np.testing.assert_array_equal(read(data, (40, 60)).pixels, np.array(picture()))


def test_large_jpeg_is_decoded_at_reduced_scale_with_the_original_size_reported():
    noise = np.random.default_rng(0).integers(0, 255, (1201, 1600, 3), np.uint8)
    data = encode(Image.fromarray(noise), "JPEG", exif=oriented(6))
    result = read(data, max_pixels=2_000_000)
    assert (result.width, result.height) == (1201, 1600)
    full = np.array(read_original(data, max_pixels=2_000_000).resize((16, 16), Image.BILINEAR))
    difference = abs(result.pixels.astype(int) - full)
    assert 0 < difference.max() <= 4


@pytest.mark.parametrize(("side", "reduced"), [(47, False), (48, True)])
def test_jpeg_is_reduced_only_to_one_and_a_half_times_the_models_size(side, reduced):
    noise = np.random.default_rng(0).integers(0, 255, (side, 100, 3), np.uint8)
    data = encode(Image.fromarray(noise), "JPEG")
    full = read_original(data, max_pixels=10**6).resize((16, 16), Image.BILINEAR)
    assert (read(data).pixels != np.array(full)).any() == reduced


@pytest.mark.parametrize(("side", "averaged"), [(63, False), (64, True), (101, True)])
def test_a_picture_is_averaged_by_whole_pixels_only_to_twice_the_models_size(side, averaged):
    noise = np.random.default_rng(0).integers(0, 255, (side, 150, 3), np.uint8)
    data = encode(Image.fromarray(noise))
    full = read_original(data, max_pixels=10**6).resize((16, 16), Image.BILINEAR)
    difference = abs(read(data).pixels.astype(int) - np.array(full))
    assert (difference > 0).any() == averaged
    assert difference.max() <= 6


@pytest.mark.parametrize("side", [17, 40, 150])
@pytest.mark.parametrize("encoding", ["PNG", "BMP", "TIFF"])
def test_grey_is_resized_as_if_it_were_colours(encoding, side):
    grey = Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, 90), np.uint8))
    found, coloured = (
        read(encode(image, encoding)).pixels for image in (grey, grey.convert("RGB"))
    )
    np.testing.assert_array_equal(found, coloured)


def test_original_is_upright_and_at_full_size():
    data = encode(picture(600, 400), "JPEG", exif=oriented(6))
    original = read_original(data, max_pixels=240_000)
    assert (original.mode, original.size) == ("RGB", (400, 600))


def test_one_pixel_fills_the_input():
    result = read(encode(Image.new("RGB", (1, 1), (7, 8, 9))))
    assert (result.width, result.height) == (1, 1)
    assert (result.pixels == (7, 8, 9)).all()


@pytest.mark.parametrize(
    "data",
    [
        b"just a text",
        b"\x00\x00\x00\x1cftypavif",
        encode(picture(), "GIF"),
        encode(Image.new("F", (4, 4)), "TIFF"),
        encode(Image.new("I", (4, 4)), "TIFF"),
    ],
    ids=["text", "avif", "gif", "float", "32-bit"],
)
def test_other_content_is_unsupported(data):
    with pytest.raises(UnsupportedImage):
        read(data)


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files_are_unreadable(encoding, share):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    data = encode(Image.fromarray(noise), encoding)
    with pytest.raises(UnreadableImage):
        read(data[: max(12, int(share * len(data)))])


def test_empty_file_is_unreadable():
    with pytest.raises(UnreadableImage, match="0 bytes"):
        read(b"")


@pytest.mark.parametrize("encoding", ["PNG", "WEBP", "TIFF"])
def test_animations_and_pages_are_refused(encoding):
    with pytest.raises(MultiFrameImage, match="2 frames"):
        read(animation(encoding))


@pytest.mark.parametrize(
    "data",
    [
        png_header(30_000, 30_000),
        png_header(10_000, 10_000),
        encode(Image.new("1", (1000, 1001)), "TIFF"),
        b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff",
    ],
    ids=["beyond Pillow's error", "beyond Pillow's warning", "one row too many", "webp"],
)
def test_pixels_are_counted_from_the_header(data):
    with pytest.raises(TooManyPixels) as raised:
        read(data, max_pixels=10**6)
    assert raised.value.status == 413


def test_damage_of_any_kind_is_an_image_error():
    rng = np.random.default_rng(0)
    files = [encode(picture(), e) for e in ("JPEG", "PNG", "WEBP", "BMP", "TIFF")]
    for trial in range(500):
        data = bytearray(files[trial % len(files)])
        for position in rng.integers(0, min(len(data), 300), 5):
            data[position] = rng.integers(256)
        try:
            result = read(bytes(data))
        except ImageError:
            continue
        assert result.pixels.shape == (16, 16, 3)


def test_what_follows_the_image_is_not_looked_at():
    for encoding in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        data = encode(picture(), encoding)
        polyglot = data + b"PK\x03\x04<script>alert(1)</script>%PDF-1.7" + encode(picture(8, 8))
        np.testing.assert_array_equal(read(polyglot).pixels, read(data).pixels)


def test_format_is_that_of_the_first_bytes():
    with pytest.raises(UnsupportedImage):
        read(b"<html>" + encode(picture()))
    with pytest.raises(UnreadableImage):
        read(encode(picture(), "JPEG")[:3] + encode(picture(), "PNG"))


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    "profile", [ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), b"no profile"]
)
def test_colour_profile_changes_nothing(encoding, profile):
    plain, tagged = encode(picture(), encoding), encode(picture(), encoding, icc_profile=profile)
    assert len(tagged) > len(plain)
    np.testing.assert_array_equal(read(tagged).pixels, read(plain).pixels)


def test_metadata_is_bounded_however_well_it_is_packed():
    text = PngInfo()
    text.add_text("comment", "a" * 2**26, zip=True)  # 64 MiB in 64 KiB
    data = encode(picture(), pnginfo=text)
    assert len(data) < 2**17
    with pytest.raises(UnreadableImage, match="[Dd]ecompressed data too large"):
        read(data)


def test_metadata_that_is_merely_large_does_not_matter():
    comment = encode(picture(), "JPEG", comment=b"a" * 65_000, exif=b"Exif\x00\x00" + b"a" * 60_000)
    np.testing.assert_array_equal(read(comment).pixels, read(encode(picture(), "JPEG")).pixels)


def test_16_bit_colour_keeps_its_upper_byte():
    data = png_of_16_bits(np.full((4, 4, 3), (0x1234, 0x80FF, 0xFFFF), np.uint16))
    assert read(data, (4, 4)).pixels[0, 0].tolist() == [0x12, 0x80, 0xFF]


def test_further_pictures_of_a_stereo_jpeg_are_left_out():
    frames = [Image.new("RGB", (32, 32), (level, 0, 0)) for level in (250, 0)]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert read(data).pixels[0, 0, 0] > 240


@pytest.mark.parametrize(
    ("kind", "named"),
    [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp"), ("TIFF", "tiff")],
)
def test_media_type_is_told_by_the_first_bytes(kind, named):
    assert media_type(encode(picture(), kind)) == f"image/{named}"
    assert media_type(b"text") == "application/octet-stream"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_reduced_picture_has_the_longer_side_that_is_asked_for(kind):
    large = encode(Image.new("RGB", (900, 300), (200, 0, 0)), kind)
    assert read_reduced(large, 150, max_pixels=10**6).size == (150, 50)
    assert read_reduced(large, 2000, max_pixels=10**6).size == (900, 300)
