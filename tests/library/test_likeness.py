import numpy as np
import pytest
import torch

from onegauge.library.likeness import Embedding, distances, nearest, within
from onegauge.training.backbones import retrieval

INF = np.inf


def test_neighbours_and_weights_are_those_of_the_graph():
    rng = np.random.default_rng(0)
    apart = rng.random((6, 90)).astype(np.float32)
    apart[0, 3:] = INF  # so that fewer than five are left
    apart[1] = 0.5
    apart[1, 50:] = INF
    found = nearest(apart.copy())
    expected = retrieval.nearest(torch.from_numpy(apart))
    assert np.allclose(found.weights, expected.weights.numpy(), atol=1e-6)
    assert np.array_equal(found.rows[2:], expected.rows.numpy()[2:])
    assert {*found.rows[0, :3]} == {0, 1, 2}
    assert (found.weights[0, 3:] == 0).all()


def test_an_embedding_is_a_direction_from_the_mean_of_normal_images():
    descriptors = np.random.default_rng(1).normal(3, 2, (20, 7)).astype(np.float32)
    embedding, mean = Embedding.of(descriptors), descriptors.mean(0)
    embedded = embedding(descriptors)
    assert np.allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-6)
    assert np.allclose(embedding(mean + 3 * (descriptors - mean)), embedded, atol=1e-5)
    opposite = embedding(np.stack([descriptors[0], 2 * mean - descriptors[0]]))
    assert distances(opposite, opposite)[0, 1] == pytest.approx(2, abs=1e-3)


def test_weak_components_are_raised():
    common, own = np.random.default_rng(2).normal(0, 1, (2, 4000))
    descriptors = np.stack([5 * common + own, 7 * common - own], axis=1).astype(np.float32)
    r = np.corrcoef(descriptors.T)[0, 1]  # so that the two deviations are √(1 ± r)
    first, second = Embedding.of(descriptors).projected(descriptors).std(0)
    assert first / second == pytest.approx(((1 + r) / (1 - r)) ** (0.75 / 2), rel=1e-3)


def test_a_component_that_no_image_has_does_not_blow_up():
    descriptors = np.random.default_rng(3).normal(0, 1, (5, 3)).astype(np.float32)
    copies = np.concatenate([descriptors[:2]] * 10)
    assert np.abs(Embedding.of(copies).projected(descriptors)).max() < 1e3


def test_a_span_of_groups_is_told_by_its_ends():
    groups = np.array([0, 1, 2, 3])
    own = np.array([[1, 2], [-1, -1], [3, 3]])
    assert within(groups, own).tolist() == [
        [False, True, True, False],
        [False] * 4,
        [False, False, False, True],
    ]
