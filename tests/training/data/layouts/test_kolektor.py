import pytest

from onegauge.training.data import dataset
from onegauge.training.data.layouts import recognise
from onegauge.training.errors import DataError


def test_the_mask_beside_an_image_tells_its_label(tmp_path, draw, mark):
    normal, _ = draw("train/10000.png", "train/10001.png")
    draw("train/10000_GT.png", value=0)
    mark("train/10001_GT.png")
    draw("test/20000.png", "test/20001.png")
    mask = mark("test/20000_GT.png")
    draw("test/20001_GT.png", value=0)
    assert dataset.training_images(tmp_path) == [normal]
    assert [*map(recognise(tmp_path).product_of, [normal])] == [tmp_path.name]
    found = dataset.test_images(tmp_path)
    assert [(i.path.name, i.product, i.defect, i.mask) for i in found] == [
        ("20000.png", tmp_path.name, "defect", mask),
        ("20001.png", tmp_path.name, "good", None),
    ]


def test_the_strays_of_the_archive_are_left_out(tmp_path, draw):
    (normal,) = draw("train/10301.png")
    draw("train/10301_GT.png", "train/10301_GT (copy).png", value=0)
    draw("train/10301 (copy).png")
    assert dataset.training_images(tmp_path) == [normal]


def test_an_image_without_a_mask_is_named(tmp_path, draw):
    draw("test/20000.png", "test/20001.png")
    draw("test/20000_GT.png", value=0)
    with pytest.raises(DataError, match=r"20001\.png has no 20001_GT\.png"):
        dataset.test_images(tmp_path)


def test_a_mask_that_cannot_be_read_is_named(tmp_path, draw):
    draw("train/10000.png")
    (tmp_path / "train" / "10000_GT.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"10000_GT\.png cannot be read"):
        dataset.training_images(tmp_path)
