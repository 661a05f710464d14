import math

import numpy as np
import pytest
import torch

from onegauge.library.conformal import carried, conformal_threshold
from onegauge.service.model.criterion import Criterion, p_values
from onegauge.training.errors import DataError
from onegauge.training.gauge.calibration import Calibration, highest_of


def normal_scores(images: int, seed: int) -> torch.Tensor:
    """Scores (n,) of normal images, with the long upper tail that they have in practice."""
    return torch.from_numpy(np.random.default_rng(seed).gamma(2.0, size=images))


@pytest.mark.parametrize(("images", "rate"), [(99, 0.01), (137, 0.05), (40, 0.1), (7, 0.01)])
def test_a_score_of_one_is_where_the_p_value_reaches_the_rate(images, rate):
    aligned = normal_scores(images, 3).float()
    calibration = Calibration.of(aligned, rate)
    promised = carried(rate, images) + 1e-6
    new = calibration(torch.cat([normal_scores(500, 4).float(), 10 * aligned]))
    flagged = new >= 1
    assert (calibration.p_value(new)[flagged] <= promised).all()
    seen = calibration.scores
    assert torch.equal(calibration.p_value(seen) <= promised, seen >= 1)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 1 / 3, 0.9])
def test_score_and_p_value_are_one_criterion_whatever_ties(rate):
    """For every score that there is between and at the calibration scores, in float32."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        few = rng.integers(2, 6)  # different values, so that most scores tie
        values = torch.from_numpy(rng.normal(3, 1e-3 if seed % 2 else 100, few)).float()
        drawn = torch.from_numpy(rng.integers(0, few, rng.integers(3, 130)))
        drawn[:2] = torch.tensor([0, 1])
        aligned = values[drawn]
        if aligned.median() == aligned.max() or kth(aligned, rate) < aligned.median():
            continue  # no threshold above the typical score
        calibration = Calibration.of(aligned, rate)
        at, n = calibration.scores, len(aligned)
        new = torch.cat([at, at.nextafter(at + 1), at.nextafter(at - 1), calibration(aligned)])
        new = torch.cat([new, torch.linspace(float(at[0]) - 1, float(at[-1]) + 1, 500)])
        promised = torch.tensor(carried(rate, n))
        assert torch.equal(new >= 1, calibration.p_value(new) <= promised)
        served = p_values(new.numpy(), calibration.scores.numpy())
        assert np.array_equal(served, calibration.p_value(new).numpy())
        by_score, by_rate = Criterion(), Criterion(max_false_alarm_rate=carried(rate, n))
        for score, p_value in zip(new[::7].tolist(), served[::7].tolist(), strict=True):
            assert by_score.judge(score, p_value) == by_rate.judge(score, p_value)
        assert not (calibration(aligned[aligned <= kth(aligned, rate)]) >= 1).any()


def kth(scores: torch.Tensor, rate: float) -> torch.Tensor:
    """The highest score that at most `rate` of n + 1 may be above."""
    ordered, n = scores.sort().values, len(scores)
    return ordered[min(math.ceil((n + 1) * (1 - rate) - 1e-6), n) - 1]


def test_scores_that_differ_by_rounding_alone_are_refused():
    aligned = torch.full((30,), 2.5)
    aligned[3] = aligned[3].nextafter(torch.tensor(3.0))
    with pytest.raises(DataError, match="do not differ"):
        Calibration.of(aligned, 0.05)


def test_p_values_count_the_normal_images_that_score_as_high():
    calibration = Calibration.of(torch.tensor([1.0, 2.0, 3.0, 4.0]), 0.2)
    aligned = torch.tensor([0.0, 2.0, 2.5, 4.0, 9.0])
    assert calibration.p_value(calibration(aligned)).tolist() == pytest.approx(
        [5 / 5, 4 / 5, 3 / 5, 2 / 5, 1 / 5]
    )


def test_the_typical_normal_image_is_at_zero_and_the_threshold_at_one():
    aligned = normal_scores(101, 5).float()
    calibration = Calibration.of(aligned, 0.05)
    threshold = torch.tensor([conformal_threshold(aligned.numpy(), 0.05)])
    assert float(calibration(aligned.median())) == 0
    assert float(calibration(threshold)) == pytest.approx(1, abs=1e-5)


def test_calibration_is_affine_so_that_map_and_score_share_a_unit():
    calibration = Calibration.of(normal_scores(50, 6).float(), 0.05)
    maps = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0)) * 9
    assert torch.allclose(calibration(maps).amax((1, 2)), calibration(maps.amax((1, 2))))
    middle = (calibration(maps) + calibration(maps + 2)) / 2
    assert torch.allclose(middle, calibration(maps + 1), atol=1e-5)


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_decisions_do_not_depend_on_the_unit_of_the_scores(unit):
    aligned, new = normal_scores(80, 7).float(), normal_scores(300, 8).float()
    here = Calibration.of(aligned, 0.05)(new)
    there = Calibration.of(aligned * unit + 3 * unit, 0.05)(new * unit + 3 * unit)
    assert torch.allclose(here, there, atol=1e-2)


def test_images_that_all_score_alike_are_refused():
    with pytest.raises(DataError, match="30 calibration images"):
        Calibration.of(torch.full((30,), 2.5), 0.05)


def test_the_highest_tile_stands_for_its_picture():
    values = torch.tensor([1.0, 5.0, 2.0, 4.0, 3.0])
    pictures = torch.tensor([7, 2, 7, 2, 9])
    assert highest_of(values, pictures).tolist() == [5.0, 2.0, 3.0]
    assert highest_of(values, torch.arange(5)).tolist() == values.tolist()
