from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onegauge.training.data.masks import marked, scaled
from onegauge.training.errors import DataError


def saved(pixels: np.ndarray, path: Path, mode: str | None = None) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.uint8, [0, 1, 127, 128, 255], [0, 0, 0, 1, 1]),  # soft edges
        (np.uint8, [0, 1, 1, 0, 1], [0, 1, 1, 0, 1]),
        (np.uint8, [0, 3, 0, 9, 1], [0, 1, 0, 1, 1]),  # numbered defects
        (np.uint16, [0, 300, 32000, 33000, 65535], [0, 0, 0, 1, 1]),
        (np.uint8, [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ],
)
def test_marked_is_above_half_of_the_range_or_else_whatever_is_not_black(
    tmp_path, dtype, values, expected
):
    path = saved(np.array([values], dtype), tmp_path / "mask.png")
    assert marked(path).tolist() == [[bool(e) for e in expected]]


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_every_way_to_store_black_and_white_marks_the_same(tmp_path, mode, suffix):
    half = np.zeros((4, 6), np.uint8)
    half[:, :2] = 255
    assert marked(saved(half, tmp_path / f"mask.{suffix}", mode)).tolist() == (half > 0).tolist()


def test_a_colour_marks_by_its_strongest_channel(tmp_path):
    pixels = np.zeros((1, 3, 3), np.uint8)
    pixels[0, 1], pixels[0, 2] = (200, 0, 0), (0, 0, 90)
    assert marked(saved(pixels, tmp_path / "mask.png")).tolist() == [[False, True, False]]


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_mask_that_cannot_be_read_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "mask.png").write_bytes(content)
    with pytest.raises(DataError, match=r"the mask .*mask\.png cannot be read"):
        marked(tmp_path / "mask.png")


def test_a_mask_shrinks_by_the_share_of_each_pixel():
    marks = np.zeros((6, 9), bool)
    marks[:2, :3] = True  # all of the pixel (0, 0)
    marks[2, 3:6] = True  # half of (1, 1)
    marks[4:6, 6:8] = marks[4:6, 3:4] = True  # two thirds of (2, 2), one of (2, 1)
    assert scaled(marks, 3).tolist() == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


def test_a_share_is_of_the_area_where_pixels_straddle_a_border():
    marks = np.zeros((3, 3), bool)
    marks[1, 0] = marks[0, 0] = True  # 1.5 x 1 of the 1.5 x 1.5 of (0, 0), 0.5 x 1 of (1, 0)
    assert scaled(marks, 2).tolist() == [[True, False], [False, False]]


def test_exactly_half_is_marked_whatever_the_size():
    for side in (6, 10, 14, 22, 254):
        marks = np.zeros((side, side), bool)
        marks[::2] = True
        assert scaled(marks, side // 2).all()


def test_a_mask_grows_with_its_shape_kept():
    marks = np.array([[True, False], [False, False]])
    assert scaled(marks, 6).tolist() == np.kron(marks, np.ones((3, 3), bool)).tolist()


def test_the_aspect_ratio_is_not_kept_and_nothing_is_cropped():
    marks = np.zeros((4, 16), bool)
    marks[:, :4] = True
    assert scaled(marks, 4).tolist() == [[True, False, False, False]] * 4


def test_a_defect_that_would_vanish_keeps_the_pixels_that_it_fills_most():
    marks = np.zeros((32, 32), bool)
    marks[9, 17] = marks[9, 18] = marks[20, 3] = True
    kept = scaled(marks, 4)
    assert np.argwhere(kept).tolist() == [[1, 2]]
