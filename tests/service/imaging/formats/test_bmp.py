import struct

import numpy as np
import pytest
from PIL import Image

from onegauge.service.errors import UnreadableImage, UnsupportedImage
from onegauge.service.imaging.image import read_original
from rig.pictures import encode, picture

LEVELS = [[9, 9, 9, 9, 9], [1, 2, 3, 4, 5], [7, 7, 7, 0, 0]]  # of the rows, from the bottom


def coded(runs: bytes, bits: int = 8) -> bytes:
    """A run-length coded BMP of 5 x 3 pixels whose palette is a scale of grey."""
    palette = b"".join(bytes([i * 10, i * 10, i * 10, 0]) for i in range(16))
    start = 54 + len(palette)
    file = struct.pack("<2sIHHI", b"BM", start + len(runs), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, 5, 3, 1, bits, 1 if bits == 8 else 2, 0, 0, 0, 16, 0)
    return file + info + palette + runs


WHOLE_8 = bytes([5, 9, 0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 3, 7, 2, 0, 0, 0, 0, 1])
WHOLE_4 = bytes([5, 0x99, 0, 0, 0, 5, 0x12, 0x34, 0x50, 0, 0, 0, 3, 0x77, 2, 0, 0, 1])


@pytest.mark.parametrize(("runs", "bits"), [(WHOLE_8, 8), (WHOLE_4, 4)])
def test_run_lengths_are_read(runs, bits):
    picture = np.asarray(read_original(coded(runs, bits), max_pixels=100))
    assert (picture[::-1, :, 0] // 10).tolist() == LEVELS


@pytest.mark.parametrize(
    ("runs", "bits"),
    [
        (WHOLE_8[2:], 8),
        (bytes([3, 9]) + WHOLE_8[2:], 8),
        (bytes([9, 9]) + WHOLE_8[2:], 8),
        (WHOLE_8[:2] + WHOLE_8[14:], 8),
        (WHOLE_8[:8], 8),
        (bytes([5, 9, 0, 0, 0, 2, 5, 1, 0, 1]), 8),
        (bytes([4, 0x99]) + WHOLE_4[2:], 4),
    ],
    ids=["row", "short row", "long row", "pixels", "end", "jump", "4 bits"],
)
def test_run_lengths_that_leave_pixels_out_are_noticed(runs, bits):
    with pytest.raises(UnreadableImage):
        read_original(coded(runs, bits), max_pixels=100)


@pytest.mark.parametrize("mode", ["1", "P", "RGB"])
def test_a_byte_that_was_lost_is_noticed_where_rows_end_in_padding(mode):
    data = encode(picture(61, 40).convert(mode), "BMP")
    read_original(data, max_pixels=10**4)
    for lost in (1, 2):
        with pytest.raises(UnreadableImage):
            read_original(
                data[:1000] + data[1000 + lost :] if mode != "1" else data[:-lost], max_pixels=10**4
            )


@pytest.mark.parametrize(("place", "value"), [(28, 64), (30, 4), (14, 99)])
def test_a_kind_that_is_not_read_is_unsupported(place, value):
    data = bytearray(encode(Image.new("RGB", (60, 40)), "BMP"))
    data[place] = value
    with pytest.raises(UnsupportedImage, match="Unsupported BMP"):
        read_original(bytes(data), max_pixels=10**4)
