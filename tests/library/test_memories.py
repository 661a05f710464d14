import numpy as np
import torch

from onegauge.library.memories import MEMORIES, remembered, usual_at
from onegauge.training.detectors.coreset import farthest_points_of_each


def test_the_patches_that_are_remembered_are_those_that_training_chooses():
    points = np.random.default_rng(0).normal(0, 40, (3, 100, 8)).astype(np.float32)
    memories, places = remembered(points)
    expected = farthest_points_of_each(torch.from_numpy(points), MEMORIES).numpy()
    assert np.array_equal(places, expected)
    own = np.take_along_axis(points, places[..., None], 1)
    assert np.array_equal(memories, own.round().clip(-127, 127))


def test_usual_is_the_distance_around_a_place_and_never_far_below_what_is_common():
    maps = np.full((1, 4, 4), 2, np.float16)
    maps[0, 0, 0] = 10
    known = np.full((5, 2), 2, np.float16) ** np.float16(0.6)
    found = usual_at(maps, np.array([[0, 15]]), known).astype(float) ** (1 / 0.6)
    assert np.allclose(found, [[(10 + 3 * 2) / 4, 2]], rtol=0.01)  # of the pixels that there are
    none = usual_at(np.zeros((1, 4, 4), np.float16), np.array([[5, 6]]), known)
    assert np.allclose(none.astype(float) ** (1 / 0.6), 0.05 * 2, rtol=0.02)
