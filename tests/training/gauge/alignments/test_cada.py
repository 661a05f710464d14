from dataclasses import replace

import pytest
import torch

from onegauge.training.backbones.retrieval import Neighbours
from onegauge.training.gauge.alignments import Cada
from onegauge.training.gauge.alignments.cada import (
    SHARED_LOCATION,
    SHARED_SCALE,
    CadaScalar,
    Statistics,
    capped,
)


def test_normal_images_of_every_class_come_out_alike(world):
    normal = ~world.anomalous
    aligned = Cada(world.references)(world.maps, world.look)
    scores = world.references.scoring(aligned.maps)
    for offset in (0, 1):  # class a, class b
        of_class = scores[offset::2][normal[offset::2]]
        assert abs(float(of_class.mean())) < 0.5
        assert 0.3 < float(of_class.std()) < 2


def alike(rows: list[list[int]]) -> Neighbours:
    """Neighbours that all count the same."""
    found = torch.tensor(rows)
    return Neighbours(found, torch.full(found.shape, 1 / found.shape[1]))


def test_location_and_scale_are_drawn_to_those_that_are_common():
    scores = torch.tensor([1.0, 2.0, 3.0, 7.0, 9.0, 11.0])
    kinds = alike([[0, 1, 2]] * 3 + [[3, 4, 5]] * 3)
    location, scale = Statistics(scores, scores, kinds)(kinds.of(slice(2, 4)))
    means, deviations = torch.tensor([2.0, 9.0]), torch.tensor([1.0, 2.0])
    assert torch.allclose(location, means + SHARED_LOCATION * (5.5 - means))
    assert torch.allclose(scale, deviations + SHARED_SCALE * (1.5 - deviations))


def test_the_scale_is_what_the_neighbours_have_of_theirs_on_average():
    scores = torch.tensor([1.0, 2.0, 3.0, 7.0, 9.0, 11.0])
    statistics = Statistics(scores, scores, alike([[0, 1, 2]] * 3 + [[3, 4, 5]] * 3))
    _, quiet = statistics(alike([[0, 1]]))
    _, between = statistics(alike([[0, 5]]))
    _, loud = statistics(alike([[4, 5]]))
    assert torch.allclose(between, (quiet + loud) / 2)


def test_the_scale_is_that_of_the_scores_which_set_the_threshold():
    scores, kinds = torch.tensor([1.0, 2.0, 3.0]), alike([[0, 1, 2]] * 3)
    location, scale = Statistics(scores, scores, kinds)(kinds)
    for apart, wider in ((scores * 3 - 4, 3), (scores + 2, 7**0.5)):  # around the same location
        found = Statistics(scores, apart, kinds)(kinds)
        assert torch.allclose(found[0], location)
        assert torch.allclose(found[1], wider * scale)


def test_the_highest_tenth_of_the_neighbours_makes_no_room_for_defects():
    values = torch.arange(20.0).repeat(2, 1)
    values[1, -2:] = 1e6
    assert torch.equal(capped(values)[1], capped(values)[0])
    assert float(capped(values)[0].mean()) == pytest.approx((sum(range(18)) + 2 * 17) / 20)
    quiet, loud = (Statistics(row, row, alike([[*range(20)]] * 20)) for row in values)
    assert torch.equal(loud.spreads, quiet.spreads)


def test_a_neighbour_that_does_not_count_says_nothing():
    scores = torch.tensor([1.0, 2.0, 3.0, 1000.0])
    three = alike([[0, 1, 2]] * 4)
    four = Neighbours(torch.arange(4)[None], torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0]]))
    statistics = Statistics(scores, scores, three)
    for expected, found in zip(statistics(three.of([0])), statistics(four), strict=True):
        assert torch.allclose(found, expected)


def test_one_odd_reference_does_not_move_the_alignment_much(world):
    maps = world.references.maps.clone()
    maps[0] += 100
    odd = CadaScalar(replace(world.references, maps=maps))
    before = CadaScalar(world.references)(world.maps[:2], world.look.of(slice(2)))
    after = odd(world.maps[:2], world.look.of(slice(2)))
    common = SHARED_LOCATION * 100 / len(maps)
    assert torch.allclose(after.location, before.location + common, atol=0.1)


def test_location_and_scale_are_told_in_the_unit_of_the_raw_score(world):
    told, scalar = Cada(world.references), CadaScalar(world.references)
    expected, found = scalar(world.maps, world.look), told(world.maps, world.look)
    assert torch.equal(found.location, expected.location)
    assert torch.equal(found.scale, expected.scale)


def test_references_are_as_normal_as_new_images(world):
    """Each is compared with the others alone, so that their mean is that of what is to come."""
    alignment, references = Cada(world.references), world.references
    own = references.scoring(alignment(references.maps, references.look).maps)
    new = references.scoring(alignment(world.maps, world.look).maps)[~world.anomalous]
    assert float(own.mean()) == pytest.approx(float(new.mean()), abs=0.3)
    assert float(own.std()) == pytest.approx(float(new.std()), rel=0.35)
