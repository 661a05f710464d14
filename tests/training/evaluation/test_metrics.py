import numpy as np
import pytest

from training.evaluation.metrics import error_rates, image_metrics, report

SCORES = np.array([0.1, 0.2, 0.9, 5.1, 5.2, 5.3])
ANOMALOUS = np.array([False, False, True, False, False, True])
PRODUCTS = ("a", "a", "a", "b", "b", "b")


def test_a_perfect_order_has_perfect_metrics():
    assert image_metrics(SCORES[:3], ANOMALOUS[:3]) == pytest.approx(
        {"image_auroc": 1, "image_ap": 1, "image_f1_max": 1}
    )


def test_auroc_counts_the_pairs_in_order():
    found = image_metrics(np.array([1.0, 3.0, 2.0, 4.0]), np.array([False, False, True, True]))
    assert found["image_auroc"] == pytest.approx(3 / 4)


def test_a_score_at_the_threshold_is_an_alarm():
    found = error_rates(np.array([1.0, 0.9, 1.0, 0.9]), np.array([False, False, True, True]), 1.0)
    assert found == {"false_alarm_rate": 0.5, "miss_rate": 0.5}


def test_pooling_shows_what_the_product_mean_hides():
    found = report(SCORES, ANOMALOUS, PRODUCTS, threshold=1.0, alpha=0.01)
    assert found["product_mean"]["image_auroc"] == 1
    assert found["pooled"]["image_auroc"] == pytest.approx(6 / 8)
    assert found["per_product"]["b"]["false_alarm_rate"] == 1
    at = found["at_threshold"]
    assert (at["alpha"], at["false_alarm_rate"], at["miss_rate"]) == (0.01, 0.5, 0.5)
    assert at["worst_product"] == {"false_alarm_rate": 1, "miss_rate": 1}
