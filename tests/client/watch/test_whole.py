import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from onegauge.client.watch.whole import is_whole
from rig.pictures import encode, picture


def noise(size: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8))


def with_thumbnail() -> bytes:
    """A JPEG with another one in its EXIF data, as cameras write it."""
    small = encode(picture(16, 16), "JPEG")
    segment = b"Exif\0\0" + small
    whole = encode(noise(), "JPEG")
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]


WHOLE = {
    "jpeg": encode(noise(), "JPEG"),
    "progressive": encode(noise(), "JPEG", progressive=True, optimize=True),
    "thumbnail": with_thumbnail(),
    "png": encode(noise()),
    "bmp": encode(noise(), "BMP"),
    "bmp_without_size": b"BM\0\0\0\0" + encode(noise(), "BMP")[6:],
    "bmp_grey": encode(noise().convert("L"), "BMP"),
    "webp": encode(noise(), "WEBP"),
    "webp_lossless": encode(noise(), "WEBP", lossless=True),
    "tiff": encode(noise(), "TIFF"),
    "tiff_of_strips": encode(noise(256), "TIFF", strip_size=4096),
    "tiff_lzw": encode(noise(), "TIFF", compression="tiff_lzw"),
    "tiff_big": encode(noise(), "TIFF", big_tiff=True),
    "tiff_16_bit": encode(Image.fromarray(np.ones((9, 9), np.uint16)), "TIFF"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_known_and_so_are_their_beginnings(name):
    data = WHOLE[name]
    assert is_whole(data)
    ends = {0, 1, 3, 10, len(data) // 4, len(data) // 2, len(data) * 9 // 10, len(data) - 1}
    assert [end for end in sorted(ends) if is_whole(data[:end])] == []


@pytest.mark.parametrize("name", [n for n in WHOLE if not n.startswith("bmp")])
def test_what_comes_after_the_image_does_not_matter(name):
    assert is_whole(WHOLE[name] + b"\0" * 100)


def test_place_that_was_reserved_is_no_image():
    for name in ("jpeg", "png"):
        data = WHOLE[name]
        assert not is_whole(data[: len(data) // 2].ljust(len(data), b"\0"))
    assert not is_whole(bytes(100))


def test_every_page_of_a_tiff_belongs_to_it():
    pages = encode(noise(), "TIFF", save_all=True, append_images=[noise()])
    assert is_whole(pages)
    for end in (len(pages) // 2, len(pages) * 3 // 4, len(pages) - 8):
        assert not is_whole(pages[:end])


def test_pages_of_a_tiff_in_a_circle_are_looked_at_once():
    data = bytearray(WHOLE["tiff"])
    (directory,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * entries, directory)
    assert is_whole(data)


def test_webp_whose_size_comes_last_is_not_whole_before():
    data = WHOLE["webp"]
    assert not is_whole(data[:4] + bytes(4) + data[8:])


def test_tiff_whose_directory_comes_last_is_not_whole_before():
    data = encode(Image.new("L", (512, 512)), "TIFF")
    assert not is_whole(data[:4] + bytes(4) + data[8:])


@pytest.mark.parametrize("data", [b"no image", b"GIF89a", b"<html>", b"\0\0\1\0"])
def test_of_an_unknown_format_nothing_is_awaited(data):
    assert is_whole(data)


def test_damaged_headers_raise_nothing():
    rng = np.random.default_rng(0)
    for data in WHOLE.values():
        for _ in range(50):
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(0, min(300, len(data)), 6)] = rng.integers(0, 256, 6)
            assert is_whole(damaged.tobytes()) in (True, False)


def test_files_of_either_byte_order_are_read():
    file = BytesIO()
    header = b"MM\0*" + struct.pack(">I", 8)
    entries = [(256, 3, 1, 4 << 16), (257, 3, 1, 4 << 16), (273, 4, 1, 100), (279, 4, 1, 16)]
    directory = struct.pack(">H", len(entries))
    directory += b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4)
    file.write((header + directory).ljust(116, b"\0"))
    assert is_whole(file.getvalue())
    assert not is_whole(file.getvalue()[:-1])
