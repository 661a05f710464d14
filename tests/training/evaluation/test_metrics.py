import numpy as np
import pytest

from onegauge.training.errors import DataError
from onegauge.training.evaluation.metrics import all_metrics, image_metrics, product_mean

SCORES = np.array([0.1, 0.2, 0.9, 5.1, 5.2, 5.3])
ANOMALOUS = np.array([False, False, True, False, False, True])
PRODUCTS = ("a", "a", "a", "b", "b", "b")


def test_a_perfect_order_has_perfect_metrics():
    assert image_metrics(SCORES[:3], ANOMALOUS[:3]) == pytest.approx(
        {"image_auroc": 1, "image_ap": 1, "image_f1_max": 1}
    )


def test_metrics_of_a_hand_computed_case():
    # From the top: anomalous, normal, anomalous, normal
    found = image_metrics(np.array([1.0, 3.0, 2.0, 4.0]), np.array([False, False, True, True]))
    assert found["image_auroc"] == pytest.approx(3 / 4)
    assert found["image_ap"] == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert found["image_f1_max"] == pytest.approx(4 / 5)  # all but the lowest flagged


def test_equal_scores_count_half_and_fall_on_one_side_of_a_threshold():
    found = image_metrics(np.ones(4), np.array([False, True, True, True]))
    assert found["image_auroc"] == pytest.approx(1 / 2)
    assert found["image_ap"] == pytest.approx(3 / 4)
    assert found["image_f1_max"] == pytest.approx(6 / 7)


def test_metrics_that_need_both_kinds_are_absent_without():
    assert image_metrics(SCORES, np.zeros(6, bool)) == {}
    assert image_metrics(SCORES, np.ones(6, bool)) == {}


def test_pooling_shows_what_the_product_mean_hides():
    found = all_metrics(SCORES, ANOMALOUS, PRODUCTS, threshold=1.0, alpha=0.01)
    assert found["product_mean"]["image_auroc"] == 1
    assert found["pooled"]["image_auroc"] == pytest.approx(6 / 8)
    assert found["per_product"]["a"]["image_auroc"] == 1
    assert found["per_product"]["b"]["false_alarm_rate"] == 1
    assert found["at_threshold"]["false_alarm_rate"] == 0.5
    assert found["at_threshold"]["worst_product"]["false_alarms_of"] == "b"


def test_figures_by_pixel_stand_beside_those_by_image():
    pixels = {
        "pooled": {"aupro": 0.5},
        "product_mean": {"aupro": 0.6},
        "per_product": {"a": {"aupro": 0.6}, "b": {}},
    }
    found = all_metrics(SCORES, ANOMALOUS, PRODUCTS, threshold=1.0, alpha=0.01, pixels=pixels)
    assert found["pooled"]["aupro"] == 0.5
    assert found["product_mean"]["aupro"] == 0.6
    assert found["per_product"]["a"]["aupro"] == 0.6
    assert "aupro" not in found["per_product"]["b"]


def test_a_product_of_one_kind_has_no_part_in_the_mean():
    anomalous = np.array([False, False, True, False, False, False])
    found = all_metrics(SCORES, anomalous, PRODUCTS, threshold=1.0, alpha=0.01)
    assert found["product_mean"]["image_auroc"] == 1
    assert "image_auroc" not in found["per_product"]["b"]
    assert "miss_rate" not in found["per_product"]["b"]


def test_the_product_mean_is_over_those_that_have_the_metric():
    rows = {"a": {"aupro": 0.2}, "b": {"aupro": 0.4}, "c": {}}
    assert product_mean(rows, ("aupro", "pixel_ap")) == pytest.approx({"aupro": 0.3})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_an_error_and_not_a_figure(bad):
    scores = SCORES.copy()
    scores[4] = bad
    with pytest.raises(DataError, match="1 of 6 image scores .* image 4, of product 'b'"):
        all_metrics(scores, ANOMALOUS, PRODUCTS, threshold=1.0, alpha=0.01)
