import numpy as np
import pytest

from onegauge.library.likeness import Neighbours
from onegauge.library.suspicion import median, most_suspicious, suspicion


def test_a_kind_of_few_images_is_judged_by_these_alone():
    kinds = np.repeat([0, 1], [60, 6])
    known = np.linspace(1, 1.2, 66) + 2 * kinds  # the rare kind is odder by far
    known[[7, 62]] *= 1.5
    apart = (kinds[:, None] != kinds) * 10.0 + np.random.default_rng(0).random((66, 66))
    np.fill_diagonal(apart, np.inf)
    rows = apart.argsort(1)[:, :40]
    weights = np.exp(-(np.take_along_axis(apart, rows, 1) ** 2))
    near = Neighbours(rows, weights / weights.sum(1, keepdims=True))
    found = suspicion(known, near, known)
    assert {*found.argsort()[-2:]} == {7, 62}
    assert np.median(found[kinds == 1]) == pytest.approx(1, abs=0.05)


def test_a_few_odd_neighbours_do_not_make_room_for_another():
    known = np.array([1.0, 1.1, 0.9, 1.0, 5.0, 6.0])
    near = Neighbours(np.arange(6)[None], np.full((1, 6), 1 / 6))
    assert suspicion(np.array([4.0]), near, known) > 3.5


def test_a_picture_is_as_suspicious_as_its_worst_tile():
    pictures = np.array([2, 2, 5, 5, 7, 7])
    found = most_suspicious(np.array([1, 1.1, 0.5, 3, 1, 2]), pictures)
    assert found.tolist() == [5, 7, 2]


def test_the_median_of_neighbours_heeds_their_weights():
    near = Neighbours(np.array([[2, 0, 1], [1, 0, 2]]), np.array([[0.6, 0.3, 0.1]] * 2))
    assert median(np.array([1.0, 2.0, 9.0]), near).tolist() == [9.0, 2.0]
    even = near._replace(weights=np.full((2, 3), 1 / 3))
    assert median(np.array([1.0, 2.0, 9.0]), even).tolist() == [2.0, 2.0]
