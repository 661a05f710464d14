from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tifffile import imwrite

from onegauge.service.imaging.depth import UNKNOWN, Depth
from onegauge.training.data.bit_depth import depth_of
from onegauge.training.progress import Progress
from rig.pictures import encode, png_of_16_bits


def grey(*values: int) -> bytes:
    return png_of_16_bits(np.array([values]))


@pytest.fixture
def learn(tmp_path, capsys):
    """The depth of a folder of these files, and what is said of it."""

    def learn(*files: bytes) -> tuple[Depth, str]:
        paths = [tmp_path / f"{i}.png" for i in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        found = depth_of(paths, Progress())
        return found, capsys.readouterr().err

    return learn


@pytest.mark.parametrize(
    ("highest", "bits"), [(201, 8), (1001, 10), (4095, 12), (16001, 14), (65535, 16)]
)
def test_the_depth_is_the_smallest_that_holds_all_images_and_is_told(learn, highest, bits):
    depth, said = learn(grey(1, highest), grey(3, highest - 2))
    assert depth == Depth(bits)
    assert f"2 of 2 images have more than 8 bits, and {bits} are taken" in said
    assert f"the highest value is {highest}, in " in said
    assert "0.png" in said
    assert "warning" not in said


def test_8_bits_leave_the_depth_open_and_nothing_is_said(learn):
    image = Image.new("RGB", (4, 4), (9, 9, 9))
    assert learn(encode(image), encode(image, "JPEG")) == (UNKNOWN, "")
    depth, said = learn(encode(image), encode(image, "TIFF"))
    assert depth == UNKNOWN
    assert "bits" not in said


def test_8_bits_of_which_the_channels_lie_apart_are_8_bits(tmp_path: Path):
    planes = np.zeros((3, 8, 8), np.uint8)
    imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert depth_of([tmp_path / "a.tif"], Progress()) == UNKNOWN


def test_what_cannot_be_read_is_passed_over(learn, tmp_path):
    assert learn(b"no image", grey(4001, 1)[:-30], grey(1001, 1))[0] == Depth(10)
    assert depth_of([tmp_path / "gone.png"], Progress()) == UNKNOWN


@pytest.mark.parametrize(("highest", "bits"), [(4080, 12), (65520, 16)])
def test_values_that_are_multiples_of_16_have_the_smallest_depth_and_a_doubt(learn, highest, bits):
    depth, said = learn(grey(16, 160), grey(32, highest))
    assert depth == Depth(bits)
    assert ("multiples of 16" in said) == (bits < 16)


@pytest.mark.parametrize(("highest", "doubted"), [(4096, True), (4300, True), (5001, False)])
def test_a_value_just_above_a_depth_is_doubted(learn, highest, doubted):
    _, said = learn(grey(1, highest), grey(9, 4095))
    assert (f"{highest} is just above 12 bits" in said) == doubted


def test_images_of_different_depths_are_told(learn):
    depth, said = learn(grey(1, 4001), grey(1, 3001), grey(1, 60001))
    assert depth == Depth(16)
    assert "2 need 12, 1 need 16 bits" in said


def test_images_of_8_bits_among_others_are_told(learn):
    depth, said = learn(grey(1, 4001), encode(Image.new("L", (4, 4))))
    assert depth == Depth(12)
    assert "the other 1 images have 8 bits" in said


def test_what_all_files_declare_is_the_depth(tmp_path: Path):
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    imwrite(tmp_path / "a.tif", pixels, bitspersample=12)
    assert depth_of([tmp_path / "a.tif"], Progress()) == Depth(12)


def test_a_file_that_declares_its_depth_is_no_ground_for_those_that_do_not(learn):
    declared = png_of_16_bits(np.array([[1, 4001]]), b"\x0c")
    assert learn(declared, grey(1, 1001))[0] == Depth(10)
