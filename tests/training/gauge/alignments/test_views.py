import pytest
import torch

from onegauge.training.backbones.neighbours import nearest_others
from onegauge.training.gauge.alignments.views import ByPlace, ThreeViews, Unlikeness

COPIES = torch.zeros(1, 3, dtype=torch.long)  # of the first reference, as neighbours


def test_a_place_that_is_always_high_counts_less_than_one_that_never_is(world):
    """An edge of the product with high raw scores in every normal image hides no defect."""
    rugged = world.references.maps.clone()
    rugged[:, :, :4] += 5 * rugged[:, :, :4].abs()
    image = rugged[:1].clone()
    image[0, 8, 8] = image[0, 8, 2]  # as high as the edge, where that is not normal
    neighbours = nearest_others(world.references.look.embedding, 20, world.references.groups)[:1]
    seen = ByPlace(rugged)(image, neighbours)[0]
    assert seen[8, 8] > seen[8, 2] + 1


def test_a_reference_map_may_be_coarser_than_the_maps_to_come(world):
    maps = world.references.maps
    coarse = torch.nn.functional.avg_pool2d(maps[:, None], 2)[:, 0]
    neighbours = nearest_others(world.references.look.embedding, 20, world.references.groups)
    fine, from_coarse = (ByPlace(m)(maps, neighbours) for m in (maps, coarse))
    assert torch.corrcoef(torch.stack([fine.flatten(), from_coarse.flatten()]))[0, 1] > 0.95


def test_the_same_image_is_not_unlike_itself_and_another_is(world):
    places = world.references.look.places
    unlikeness = Unlikeness(places)
    assert float(unlikeness(places[:1].float(), COPIES).max()) == 0
    assert float(unlikeness(places[3:4].float(), COPIES).min()) > 0


def test_what_lies_one_place_beside_is_still_the_same(world):
    places = world.references.look.places
    moved = places[:1].float()
    moved[..., 1:] = moved[..., :-1].clone()
    assert float(Unlikeness(places)(moved, COPIES).max()) == 0


def test_unlikeness_is_the_euclidean_distance_to_the_neighbour_most_like_it(world):
    places = world.references.look.places
    moved = places[:1].float()
    moved[0, :, 2, 1] += 300
    distance = Unlikeness(places)(moved, torch.tensor([[5, 0, 7]]))[0]
    window = places[[5, 0, 7], :, 1:4, 0:3].float()  # the place and those beside it
    apart = (window - moved[0, :, 2, 1].view(1, -1, 1, 1)).norm(dim=1)
    assert float(distance[2, 1]) == pytest.approx(float(apart.min()), rel=1e-5)
    assert float(distance[0, 3]) == 0


def test_a_place_that_looks_like_no_neighbour_counts_though_the_detector_is_silent(world):
    references = world.references
    others = nearest_others(references.look.embedding, 20, references.groups)
    views = ThreeViews(references)
    look = references.look.of(slice(1))
    before = views(references.maps[:1], look.places, others[:1])[:, 0]  # (3, h, w)
    look.places[0, :, 2, 1] += 60
    after = views(references.maps[:1], look.places, others[:1])[:, 0]
    assert torch.equal(after[:2], before[:2])
    assert (after[2:, 10, 6] > before[2:, 10, 6]).all()  # the map is four times as fine
    assert torch.equal(after[:, :4, 12:], before[:, :4, 12:])
