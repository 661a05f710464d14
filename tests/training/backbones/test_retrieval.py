import pytest
import torch

from onegauge.training.backbones import retrieval as module
from onegauge.training.backbones.retrieval import (
    NEIGHBOURS,
    NEW,
    Retrieval,
    nearest,
    neighbours_of,
)


def descriptors(images: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(images, 8, generator=torch.Generator().manual_seed(seed))


def test_the_nearest_come_first_and_count_most():
    found = nearest(torch.tensor([[3.0, 1.0, 4.0, 2.0]]))
    assert found.rows.tolist() == [[1, 3, 0, 2]]
    assert (found.weights.diff() < 0).all()
    assert float(found.weights.sum()) == pytest.approx(1)


def test_a_kind_of_few_images_is_judged_by_these():
    apart = torch.cat([torch.full((1, 6), 1.0), torch.full((1, 94), 3.0)], dim=1)
    found = nearest(apart)
    assert found.rows.shape == (1, NEIGHBOURS)
    assert float(found.weights[:, :6].sum()) > 0.99


@pytest.mark.parametrize("left", [1, 3, 50])
def test_what_must_not_be_compared_does_not_count(left):
    apart = torch.full((2, 60), torch.inf)
    apart[:, :left] = descriptors(1)[0, 0].abs() + torch.arange(left)
    found = nearest(apart)
    assert (found.rows[found.weights > 0] < left).all()
    assert torch.allclose(found.weights.sum(1), torch.ones(2))


def test_an_image_that_is_there_several_times_is_judged_by_its_copies():
    found = nearest(torch.tensor([[0.0] * 6 + [1.0] * 4]))
    assert found.weights[0, :6].tolist() == pytest.approx([1 / 6] * 6)
    assert found.weights[0, 6:].tolist() == [0] * 4


def test_no_image_is_a_neighbour_of_its_own_part_unless_it_is_new():
    groups = torch.arange(60) // 3
    known = descriptors(60)
    retrieval = Retrieval(known, groups)
    of_parts = neighbours_of(retrieval, known, torch.stack([groups, groups], 1))
    counted = of_parts.weights > 0
    assert not (groups[of_parts.rows] == groups[:, None])[counted].any()
    of_new = retrieval(retrieval.embedding(known), torch.tensor([NEW]))
    assert torch.equal(of_new.rows[:, 0], torch.arange(60))


@pytest.mark.parametrize("images", [45, 2000])
def test_neighbours_are_those_of_all_axes_however_many_references_there_are(images):
    rng = torch.Generator().manual_seed(0)
    mixed = torch.randn(80, 80, generator=rng)
    looks = torch.randn(images, 80, generator=rng) * 0.93 ** torch.arange(80) @ mixed
    retrieval = Retrieval(looks, torch.arange(images) // 2)
    asked = retrieval.embedding(looks[:20] + 0.1 * torch.randn(20, 80, generator=rng))
    assert asked.shape[1] > module.AXES
    own = torch.tensor([[3, 5]])
    found, expected = retrieval(asked, own), nearest(retrieval.distances(asked, own))
    assert torch.equal(found.rows[found.weights > 0], expected.rows[expected.weights > 0])
    assert torch.allclose(found.weights, expected.weights, atol=1e-4)


def test_images_looked_up_together_are_found_as_all_at_once(monkeypatch):
    known, groups = descriptors(50), torch.arange(50)
    retrieval = Retrieval(known, groups)
    expected = neighbours_of(retrieval, known, torch.stack([groups, groups], 1))
    monkeypatch.setattr(module, "AT_A_TIME", 7)
    found = neighbours_of(retrieval, known, torch.stack([groups, groups], 1))
    assert torch.equal(found.rows, expected.rows)
    assert torch.allclose(found.weights, expected.weights, atol=1e-5)
