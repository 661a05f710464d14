import numpy as np

from bench.products import ALIGNMENTS, divisions, knowing, measured
from onegauge.training.checkpoint import load
from onegauge.training.data.dataset import test_images as labelled_images

PRODUCTS = ["cloth", "metal", "wood"]


def test_each_product_is_left_out_once_and_never_on_both_sides():
    found = [*divisions([f"product-{i}" for i in range(13)], folds=5)]
    assert [len(left_out) for left_out, _ in found] == [3, 3, 3, 2, 2]
    assert len({product for left_out, _ in found for product in left_out}) == 13
    for left_out, others in found:
        assert len({*left_out, *others}) == 13 == len(left_out) + len(others)


def test_a_line_knows_its_products_alone(trained_run, product_tree):
    whole = load(trained_run)
    line = knowing(whole, ["metal", "wood"])
    assert {*line.evidence.products} == {"metal", "wood"}
    assert len(line.evidence.references) == len(line.detector.memories) == 40
    assert len(whole.evidence.references) == 60
    assert (whole.calibration_images, line.calibration_images) == (60, 40)
    found = dict(measured(line, labelled_images(product_tree)))
    assert tuple(found) == ALIGNMENTS
    assert all(len(figures) == 6 for figures in found.values())


def test_a_line_of_one_product_has_the_same_mean_as_pooled(trained_run, product_tree):
    line = knowing(load(trained_run), ["cloth"])
    for _, figures in measured(line, labelled_images(product_tree)):
        assert figures[0] == figures[1]
        assert np.isfinite(figures).all()
