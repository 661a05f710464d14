"""Small pictures of inspections."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from onegauge.records.previews import small_map, thumbnail
from rig.pictures import encode


@pytest.mark.parametrize(
    ("mode", "size", "small"),
    [("RGB", (1920, 960), (192, 96)), ("L", (30, 20), (30, 20)), ("RGBA", (10, 4000), (1, 192))],
)
def test_a_thumbnail_has_the_shape_of_its_picture(mode, size, small):
    made = Image.open(BytesIO(thumbnail(Image.new(mode, size))))
    assert (made.format, made.mode, made.size) == ("JPEG", "RGB", small)


def test_a_thumbnail_of_a_file_looks_like_it():
    picture = Image.new("RGB", (640, 480), (200, 30, 30))
    picture.paste((30, 30, 200), (320, 0, 640, 480))
    made = Image.open(BytesIO(thumbnail(Image.open(BytesIO(encode(picture))))))
    for place, colour in (((20, 72), (200, 30, 30)), ((170, 72), (30, 30, 200))):
        assert np.allclose(made.getpixel(place), colour, atol=12)


def test_a_small_map_has_the_scale_of_the_answer():
    scores = np.float32([[-1.0, 0.0, 1.0, 2.0, 9.0]])
    made = Image.open(BytesIO(small_map(scores)))
    assert (made.format, made.mode) == ("PNG", "L")
    assert np.asarray(made).tolist() == [[0, 0, 128, 255, 255]]
    assert Image.open(BytesIO(small_map(np.zeros((100, 300), np.float32)))).size == (128, 43)
