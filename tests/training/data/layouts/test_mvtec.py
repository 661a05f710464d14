import numpy as np
import pytest

from onegauge.training.data import dataset
from onegauge.training.data.layouts import recognise
from onegauge.training.errors import DataError


def test_mvtec_ad_is_read_as_it_is_published(tmp_path, draw, mark):
    trained = draw("bottle/train/good/000.png", "bottle/train/good/001.png")
    draw("bottle/test/broken/000.png", "bottle/test/good/000.png", "screw/test/scratch/000.png")
    broken = mark("bottle/ground_truth/broken/000_mask.png")
    scratch = mark("screw/ground_truth/scratch/000_mask.png")
    assert dataset.training_images(tmp_path) == trained
    found = dataset.test_images(tmp_path)
    assert [(i.product, i.anomalous, i.defect, i.mask) for i in found] == [
        ("bottle", True, "broken", broken),
        ("bottle", False, "good", None),
        ("screw", True, "scratch", scratch),
    ]


def test_a_mask_may_have_the_bare_stem_of_its_image_and_another_format(tmp_path, draw, mark):
    draw("pcb/test/good/000.jpg", "pcb/test/bad/000.jpg", "pcb/test/bad/001.jpg")
    bare, suffixed = mark("pcb/ground_truth/bad/000.png"), mark("pcb/ground_truth/bad/001_mask.bmp")
    first, second, _ = dataset.test_images(tmp_path)
    assert (first.mask, second.mask) == (bare, suffixed)


def test_an_image_without_a_mask_keeps_its_label(tmp_path, draw, mark):
    draw("nut/test/good/000.png", "nut/test/rust/000.png", "nut/test/rust/001.png")
    mark("nut/ground_truth/rust/001.png")
    mark("nut/ground_truth/bent/000.png")  # of another defect
    _, first, second = dataset.test_images(tmp_path)
    assert (first.anomalous, first.mask) == (True, None)
    assert second.mask is not None


def test_a_normal_image_needs_no_mask_and_takes_none(tmp_path, draw, mark):
    draw("nut/test/good/000.png")
    mark("nut/ground_truth/good/000.png")
    (image,) = dataset.test_images(tmp_path)
    assert image.mask is None
    assert not dataset.mask_of(image, 4).any()


@pytest.mark.parametrize("folder", ["", "nut/", "set/nut/"])
def test_a_product_has_one_name_in_both_splits_at_any_depth(tmp_path, draw, mark, folder):
    trained, _, _ = draw(
        f"{folder}train/good/0.png", f"{folder}test/good/0.png", f"{folder}test/rust/0.png"
    )
    mask = mark(f"{folder}ground_truth/rust/0_mask.png")
    good, rust = dataset.test_images(tmp_path)
    assert rust.mask == mask
    assert good.product == rust.product
    assert [*map(recognise(tmp_path).product_of, [trained])] == [good.product]
    assert good.product == (folder.rstrip("/") or tmp_path.name)


def test_a_plain_folder_has_its_first_folders_for_products(tmp_path, draw):
    paths = draw("a.png", "monday/late/b.png")
    assert dataset.training_images(tmp_path) == paths
    assert [*map(recognise(tmp_path).product_of, paths)] == [tmp_path.name, "monday"]
    with pytest.raises(DataError, match="VisA"):
        dataset.test_images(tmp_path)


def test_the_mask_marks_its_pixels(tmp_path, draw, mark):
    draw("nut/test/rust/0.png", "nut/test/good/0.png")
    mark("nut/ground_truth/rust/0.png")
    _, rust = dataset.test_images(tmp_path)
    assert np.array_equal(dataset.mask_of(rust, 2), [[True, False]] * 2)
