from dataclasses import replace

import pytest
import torch

from onegauge.training.backbones.retrieval import Neighbours
from onegauge.training.gauge.alignments import Apart, Cada
from onegauge.training.gauge.alignments.alignment import Scores
from onegauge.training.gauge.alignments.cada import (
    SHARED_LOCATION,
    SHARED_SCALE,
    CadaScalar,
    Statistics,
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


def same(scores: torch.Tensor) -> Scores:
    """Of references that score alike whatever they are compared with."""
    return Scores(scores, scores)


def test_location_and_scale_are_drawn_to_those_that_are_common():
    scores = torch.tensor([1.0, 2.0, 3.0, 7.0, 9.0, 11.0])
    kinds = alike([[0, 1, 2]] * 3 + [[3, 4, 5]] * 3)
    location, scale = Statistics(same(scores), kinds)(kinds.of(slice(2, 4)))
    means, deviations = torch.tensor([2.0, 9.0]), torch.tensor([1.0, 2.0])
    assert torch.allclose(location, means + SHARED_LOCATION * (5.5 - means))
    assert torch.allclose(scale, deviations + SHARED_SCALE * (1.5 - deviations))


def test_the_highest_tenth_of_the_neighbours_makes_no_room_for_defects():
    scores = torch.arange(22.0)
    scores[20:] = 1e6
    kinds = alike([[*range(20)], [*range(18), 20, 21]])
    location, scale = Statistics(same(scores), kinds)(kinds)
    assert location[1] == location[0]
    assert scale[1] == scale[0]


def test_the_scale_is_how_far_from_what_is_usual_the_next_lot_lies():
    usual = torch.tensor([1.0, 2.0, 3.0, 7.0, 9.0, 11.0])
    kinds = alike([[0, 1, 2]] * 3 + [[3, 4, 5]] * 3)
    statistics = Statistics(Scores(usual, usual + torch.tensor([0, 0, 0, 3.0, 3, 3])), kinds)
    location, scale = statistics(kinds.of(slice(2, 4)))
    assert torch.equal(location, Statistics(same(usual), kinds)(kinds.of(slice(2, 4)))[0])
    spreads = torch.tensor([1.0, ((1 + 9 + 25) / 2) ** 0.5])
    assert torch.allclose(scale, spreads + SHARED_SCALE * (spreads.mean() - spreads))


def test_a_kind_that_scores_higher_apart_is_given_more_room_and_no_other_is(world):
    of_b = torch.arange(1, 100, 2)
    look = world.references.look.of(of_b)
    apart = Apart(of_b, world.references.maps[of_b] + 3, look)
    before, after = (
        Cada(replace(world.references, apart=again))(world.maps, world.look)
        for again in (None, apart)
    )
    scores = [world.references.scoring(aligned.maps) for aligned in (before, after)]
    assert (
        scores[1][1::2][world.anomalous[1::2]] < 0.8 * scores[0][1::2][world.anomalous[1::2]]
    ).all()
    assert (after.scale[1::2] > 1.5 * before.scale[1::2]).all()
    assert torch.equal(after.location, before.location)
    assert (after.scale[::2] - before.scale[::2] < 0.3 * after.scale[1::2].mean()).all()


def test_a_neighbour_that_does_not_count_says_nothing():
    scores = torch.tensor([1.0, 2.0, 3.0, 1000.0])
    three = alike([[0, 1, 2]])
    four = Neighbours(torch.arange(4)[None], torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0]]))
    statistics = Statistics(same(scores), three)
    for expected, found in zip(statistics(three), statistics(four), strict=True):
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
