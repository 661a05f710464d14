import numpy as np
import pytest

from onegauge.library.conformal import carried, conformal_threshold, images_needed


def normal_scores(images: int, seed: int) -> np.ndarray:
    """Scores (n,) of normal images, with the long upper tail that they have in practice."""
    return np.random.default_rng(seed).gamma(2.0, size=images)


@pytest.mark.parametrize(("rate", "images"), [(0.01, 99), (0.05, 19), (0.1, 9), (0.001, 999)])
def test_images_needed_are_just_enough_to_carry_the_rate(rate, images):
    assert images_needed(rate) == images
    assert carried(rate, images) == pytest.approx(rate)
    assert carried(rate, images - 1) > rate


@pytest.mark.parametrize(("images", "rate"), [(99, 0.01), (60, 0.05), (200, 0.1), (20, 0.05)])
def test_the_false_alarm_rate_is_kept_on_average_over_calibrations(images, rate):
    alarms = []
    for seed in range(600):
        scores = normal_scores(images + 200, seed)
        alarms.append(scores[images:] >= conformal_threshold(scores[:images], rate))
    found = float(np.concatenate(alarms).mean())
    assert found <= 1.1 * rate
    assert found >= 0.7 * rate - 1 / (images + 1)  # a threshold that never alarms keeps it too


def test_too_few_images_get_the_least_rate_that_they_carry():
    alarms = [
        normal_scores(201, seed)[5:] >= conformal_threshold(normal_scores(201, seed)[:5], 0.01)
        for seed in range(600)
    ]
    assert float(np.concatenate(alarms).mean()) == pytest.approx(carried(0.01, 5), rel=0.15)


def test_no_image_it_was_calibrated_on_is_flagged_beyond_the_rate():
    scores = normal_scores(5, 0)
    assert not (scores >= conformal_threshold(scores, 0.01)).any()
    many = normal_scores(1000, 0)
    assert int((many >= conformal_threshold(many, 0.05)).sum()) == 49


def test_a_score_that_ties_with_the_last_normal_one_is_normal():
    scores = np.array([0.0] * 50 + [1.0] * 49)
    assert conformal_threshold(scores, 0.01) > 1
    assert conformal_threshold(np.array([0.0] * 90 + [1.0] * 9), 0.1) == 0.5
