import pytest

from onegauge.training.data import dataset
from onegauge.training.data.layouts import recognise


def test_btad_is_read_as_it_is_published(tmp_path, draw, mark):
    trained = draw("01/train/ok/0000.bmp", "03/train/ok/0000.bmp")
    draw("01/test/ko/0000.bmp", "01/test/ok/0000.bmp", "03/test/ko/0000.bmp", "03/test/ok/0000.bmp")
    first, third = mark("01/ground_truth/ko/0000.png"), mark("03/ground_truth/ko/0000.bmp")
    assert dataset.training_images(tmp_path) == trained
    assert [*map(recognise(tmp_path).product_of, trained)] == ["01", "03"]
    found = dataset.test_images(tmp_path)
    assert [(i.product, i.anomalous, i.defect, i.mask) for i in found] == [
        ("01", True, "ko", first),
        ("01", False, "good", None),
        ("03", True, "ko", third),
        ("03", False, "good", None),
    ]


@pytest.mark.parametrize("value", [1, 255])
def test_both_ways_to_write_a_mask_mark_the_same(tmp_path, draw, mark, value):
    draw("02/test/ko/0000.png", "02/test/ok/0000.png")
    mark("02/ground_truth/ko/0000.png", value)
    defective, _ = dataset.test_images(tmp_path)
    assert dataset.mask_of(defective, 2).tolist() == [[True, False]] * 2
