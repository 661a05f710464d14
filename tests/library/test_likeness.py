import numpy as np
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


def test_an_embedding_keeps_the_distances_between_few_images():
    descriptors = np.random.default_rng(1).normal(3, 2, (20, 7)).astype(np.float32)
    embedded = Embedding.of(descriptors)(descriptors)
    scale = descriptors.std(0, ddof=1)
    true = np.linalg.norm((descriptors[:, None] - descriptors) / scale, axis=2)
    assert np.allclose(distances(embedded, embedded), true, atol=0.02)


def test_a_span_of_groups_is_told_by_its_ends():
    groups = np.array([0, 1, 2, 3])
    own = np.array([[1, 2], [-1, -1], [3, 3]])
    assert within(groups, own).tolist() == [
        [False, True, True, False],
        [False] * 4,
        [False, False, False, True],
    ]
