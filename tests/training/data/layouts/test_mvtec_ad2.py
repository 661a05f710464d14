from onegauge.training.data import dataset
from onegauge.training.data.layouts import recognise


def test_mvtec_ad_2_is_read_as_it_is_published(tmp_path, draw, mark):
    trained = draw("can/train/good/000_regular.png", "can/validation/good/000_regular.png")
    draw("can/test_public/bad/001_shift_1.png", "can/test_public/good/000_regular.png")
    mask = mark("can/test_public/ground_truth/bad/001_shift_1_mask.png")
    draw("can/test_private/000_regular.png", "can/test_private_mixed/000_mixed.png")
    assert dataset.training_images(tmp_path) == trained
    assert [*map(recognise(tmp_path).product_of, trained)] == ["can", "can"]
    found = dataset.test_images(tmp_path)
    assert [(i.path.name, i.product, i.defect, i.mask) for i in found] == [
        ("001_shift_1.png", "can", "bad", mask),
        ("000_regular.png", "can", "good", None),
    ]


def test_one_product_may_be_the_root(tmp_path, draw, mark):
    trained = draw("train/good/000.png", "validation/good/000.png")
    draw("test_public/bad/000.png", "test_public/good/000.png")
    mask = mark("test_public/ground_truth/bad/000_mask.png")
    bad, good = dataset.test_images(tmp_path)
    assert (bad.product, bad.mask, good.mask) == (tmp_path.name, mask, None)
    assert [*map(recognise(tmp_path).product_of, trained)] == [tmp_path.name] * 2
