from dataclasses import replace

import pytest
import torch

from onegauge.training.backbones.retrieval import Neighbours
from onegauge.training.gauge.alignments.views import ByPlace, TwoViews, moments, thinned


def alike(rows: torch.Tensor, images: int) -> Neighbours:
    """For each image the same neighbours, which all count the same."""
    return Neighbours(rows.expand(images, -1), torch.full((images, len(rows)), 1 / len(rows)))


def test_neighbours_that_count_the_same_have_the_mean_and_deviation_of_a_sample():
    values = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0))
    mean, deviation = moments(values, torch.full((2, 7), 1 / 7))
    assert torch.allclose(mean, values.mean(1), atol=1e-6)
    assert torch.allclose(deviation, values.std(1), atol=1e-6)


def test_neighbours_count_by_their_weights():
    values = torch.tensor([[[0.0], [2.0], [1e6]]])
    mean, deviation = moments(values, torch.tensor([[0.75, 0.25, 0.0]]))
    assert float(mean) == 0.5
    assert float(deviation) == pytest.approx((0.75 / 0.375) ** 0.5)
    _, of_one = moments(values, torch.tensor([[1.0, 0.0, 0.0]]))
    assert float(of_one) == 0  # and no division by nothing


@pytest.fixture
def edged() -> torch.Tensor:
    """Twelve maps (12, 16, 16) that differ a little, all of them high in one column."""
    maps = 1 + 0.1 * torch.randn(12, 16, 16, generator=torch.Generator().manual_seed(0))
    maps[:, :, 4] += 5
    return maps


def test_what_is_always_high_is_normal_and_the_same_height_elsewhere_is_not(edged):
    view = ByPlace(edged[:10])
    normal, moved = edged[10].clone(), edged[11].clone()
    moved[3, 12] += 5
    seen = view(torch.stack([normal, moved]), alike(torch.arange(10), 2))
    assert float(seen[0].max()) < 0.5 * float(seen[1].max())
    assert int(seen[1].argmax()) == 3 * 16 + 12


def test_neighbours_that_are_copies_leave_a_spread_to_divide_by():
    maps = torch.arange(256.0).view(1, 16, 16).repeat(4, 1, 1)
    assert ByPlace(maps)(maps[:1] + 1, alike(torch.arange(4), 1)).isfinite().all()


def test_maps_are_stored_coarser_and_read_as_fine_as_they_come(edged):
    fine = edged.repeat_interleave(4, 1).repeat_interleave(4, 2)  # (12, 64, 64)
    stored = thinned(fine)
    assert torch.allclose(stored, edged.repeat_interleave(2, 1).repeat_interleave(2, 2))
    near = alike(torch.arange(10), 2)
    coarse, seen = ByPlace(edged[:10])(edged[10:], near), ByPlace(stored)(fine[10:], near)
    assert seen.shape == (2, 64, 64)
    assert float(seen[..., 17:19].mean()) == pytest.approx(float(coarse[..., 4].mean()), rel=0.02)
    assert float(seen[..., 32:].mean()) == pytest.approx(float(coarse[..., 8:].mean()), abs=0.05)


def test_neither_view_nor_unit_outweighs_the_other(world):
    references = world.references
    plain, larger = (TwoViews(replace(references, maps=unit * references.maps)) for unit in (1, 64))
    expected = plain(world.maps, world.look.neighbours)
    found = larger(64 * world.maps, world.look.neighbours)
    assert torch.allclose(found, expected, rtol=1e-2, atol=1e-2)
    views = (
        plain._views(references.maps, references.look.neighbours) / plain.units[:, None, None, None]
    )
    spreads = [float(references.scoring(view).std()) for view in views]
    assert spreads == pytest.approx([1, 1], rel=1e-3)


def test_the_scores_of_references_are_those_of_their_joined_views(world):
    references = world.references
    views = TwoViews(references)
    joined = views(references.maps, references.look.neighbours)
    assert torch.allclose(views.scores, references.scoring(joined), atol=1e-4)
