from pathlib import Path

import numpy as np
import pytest

from onegauge.training.data.sequence import FARTHEST, spans

IMAGES, NEIGHBOURS = 100, 20


def most_alike(time: np.ndarray) -> np.ndarray:
    """Neighbours (N, k) of images that look the more alike the nearer they are in time."""
    apart = np.abs(time[:, None] - time) + 1e-3 * np.random.default_rng(1).random((IMAGES, IMAGES))
    np.fill_diagonal(apart, np.inf)
    return np.argsort(apart, axis=1)[:, :NEIGHBOURS]


@pytest.fixture
def shuffled() -> np.ndarray:
    return np.random.default_rng(0).permutation(IMAGES)


def test_where_order_tells_an_image_is_left_out_with_those_around_it():
    found = spans([Path("line")] * IMAGES, np.arange(IMAGES), most_alike(np.arange(IMAGES)))
    assert found[0].tolist() == [0, 2]
    assert found[50].tolist() == [48, 52]
    assert found[-1].tolist() == [97, 99]


def test_where_it_does_not_an_image_is_left_out_alone(shuffled):
    found = spans([Path("line")] * IMAGES, np.arange(IMAGES), most_alike(shuffled))
    assert (found == np.arange(IMAGES)[:, None]).all()


def test_each_folder_tells_for_itself(shuffled):
    half = IMAGES // 2
    folders = [Path("a")] * half + [Path("b")] * half
    time = np.concatenate([np.arange(half), 1000 + shuffled[:half].argsort()])
    found = spans(folders, np.arange(IMAGES), most_alike(time))
    assert found[0].tolist() == [0, 1]
    assert found[half - 1].tolist() == [half - 2, half - 1]
    assert (found[half:] == np.arange(half, IMAGES)[:, None]).all()


def test_parts_count_and_not_their_images():
    groups = np.arange(IMAGES) // 2
    found = spans([Path("line")] * IMAGES, groups, most_alike(10.0 * np.arange(IMAGES)))
    assert found[50].tolist() == found[51].tolist() == [24, 26]


def test_of_many_images_no_more_go_with_one_than_a_lot_has(monkeypatch):
    monkeypatch.setattr("onegauge.training.data.sequence.REACH", 0.4)
    found = spans([Path("line")] * IMAGES, np.arange(IMAGES), most_alike(np.arange(IMAGES)))
    assert found[50].tolist() == [50 - FARTHEST, 50 + FARTHEST]


def test_few_images_tell_nothing():
    few = most_alike(np.arange(IMAGES))[:10]
    found = spans([Path("line")] * 10, np.arange(10), few % 10)
    assert (found == np.arange(10)[:, None]).all()
