import numpy as np
import pytest

from onegauge.training.evaluation.false_alarms import (
    at_rates,
    at_threshold,
    error_rates,
    uniformity,
)


def test_a_score_at_the_threshold_is_an_alarm():
    found = error_rates(np.array([1.0, 0.9, 1.0, 0.9]), np.array([False, False, True, True]), 1.0)
    assert (found["false_alarm_rate"], found["miss_rate"]) == (0.5, 0.5)
    assert (found["normal"], found["anomalous"]) == (2, 2)


@pytest.mark.parametrize(
    ("alarms", "images", "interval"),
    [
        (0, 10, (0, 1 - 0.025 ** (1 / 10))),  # closed forms at both ends
        (10, 10, (0.025 ** (1 / 10), 1)),
        (4, 20, (0.0573, 0.4366)),  # tabulated by Clopper and Pearson's successors
    ],
)
def test_intervals_are_those_of_clopper_and_pearson(alarms, images, interval):
    scores = np.where(np.arange(images) < alarms, 2.0, 0.0)
    found = error_rates(scores, np.zeros(images, bool), 1.0)
    assert found["false_alarm_interval"] == pytest.approx(interval, abs=5e-5)


def test_without_images_of_a_kind_there_is_no_rate_of_it():
    found = error_rates(np.ones(3), np.zeros(3, bool), 1.0)
    assert "miss_rate" not in found
    assert "miss_interval" not in found


@pytest.mark.parametrize(("alarms", "kept"), [(0, False), (2, True), (5, True), (20, False)])
def test_a_promise_agrees_with_what_its_interval_holds(alarms, kept):
    scores = np.where(np.arange(100) < alarms, 2.0, 0.0)
    overall = error_rates(scores, np.zeros(100, bool), 1.0)
    found = at_threshold(overall, {"part": overall}, 0.05)
    assert found["alpha"] == 0.05
    assert found["alpha_in_interval"] is kept


def test_the_worst_product_is_named_for_each_kind_of_error():
    rates = {
        "bolt": {"false_alarm_rate": 0.1, "miss_rate": 0.6},
        "nut": {"false_alarm_rate": 0.3, "miss_rate": 0.2},
        "ring": {"miss_rate": 0.4},
    }
    worst = at_threshold({}, rates, 0.05)["worst_product"]
    assert worst == {
        "false_alarm_rate": 0.3,
        "false_alarms_of": "nut",
        "miss_rate": 0.6,
        "misses_of": "bolt",
    }


def test_at_a_rate_the_p_value_decides():
    p_values = np.array([0.005, 0.04, 0.05, 0.5, 0.01, 0.06])
    anomalous = np.array([False, False, False, False, True, True])
    found = at_rates(p_values, anomalous, ("a", "a", "a", "b", "a", "b"))
    assert list(found) == ["0.01", "0.05"]
    assert found["0.01"]["false_alarm_rate"] == 1 / 4
    assert found["0.05"]["false_alarm_rate"] == 3 / 4
    assert found["0.01"]["miss_rate"] == found["0.05"]["miss_rate"] == 1 / 2
    assert found["0.05"]["worst_product"]["false_alarms_of"] == "a"
    assert found["0.05"]["worst_product"]["misses_of"] == "b"


def test_p_values_are_compared_with_the_levels_that_a_model_can_give():
    levels = np.arange(1, 101) / 100
    assert uniformity(levels, 99)["ks"] == pytest.approx(0)
    assert uniformity(levels / 2, 99)["ks"] == pytest.approx(0.5, abs=0.01)


def test_where_nothing_is_known_nothing_is_said():
    assert uniformity(np.empty(0), 99) == {}
    assert uniformity(np.array([0.5]), None) == {}
