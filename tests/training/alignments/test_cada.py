from dataclasses import replace

import pytest
import torch

from training.alignments import Cada, Look, image_score
from training.alignments.cada import (
    AsDetected,
    ByLook,
    ByMap,
    CadaScalar,
    Views,
    location_and_scale,
)


def test_normal_images_of_every_class_come_out_alike(world):
    normal = ~world.anomalous
    aligned = CadaScalar(world.references)(world.maps, world.look)
    scores = image_score(aligned.maps, world.references.score_share)
    for offset in (0, 1):  # class a, class b
        of_class = scores[offset::2][normal[offset::2]]
        assert abs(float(of_class.mean())) < 0.5
        assert 0.3 < float(of_class.std()) < 2


def test_location_and_scale_are_those_of_the_values_without_the_highest_tenth():
    values = torch.arange(20.0).repeat(2, 1)
    values[1, -2:] = 1e6  # odd references must not make room for defects
    location, scale = location_and_scale(values, torch.tensor(0.0))
    assert location[1] == location[0]
    assert scale[1] == scale[0]
    assert float(location[0]) == pytest.approx((sum(range(18)) + 2 * 17) / 20)


def test_the_scale_is_shrunk_to_the_common_one():
    values = torch.full((1, 20), 3.0)
    _, scale = location_and_scale(values, torch.tensor(5.0))
    assert float(scale) == pytest.approx(0.2 * 5.0)


def test_one_odd_reference_does_not_move_the_alignment_much(world):
    maps = world.references.maps.clone()
    maps[0] += 100
    odd = CadaScalar(replace(world.references, maps=maps))
    before = CadaScalar(world.references)(world.maps[:2], world.look.of(slice(2)))
    after = odd(world.maps[:2], world.look.of(slice(2)))
    assert torch.allclose(after.location, before.location, atol=0.1)


def test_a_place_that_is_always_high_counts_less_than_one_that_never_is(world):
    """An edge of the product with high raw scores in every normal image hides no defect."""
    rugged = world.references.maps.clone()
    rugged[:, :, :4] += 5 * rugged[:, :, :4].abs()
    references = replace(world.references, maps=rugged)
    image = rugged[:1].clone()
    image[0, 8, 8] = image[0, 8, 2]  # as high as the edge, where that is not normal
    look = references.look.of(slice(1))
    in_view = Views(references, [ByMap(rugged)])(image, look).maps[0]
    as_detected = CadaScalar(references)(image, look).maps[0]
    assert as_detected[8, 8] == as_detected[8, 2]
    assert in_view[8, 8] > in_view[8, 2] + 1


def test_a_place_that_looks_like_no_neighbour_counts_though_the_detector_is_silent(world):
    references = world.references
    alignment = Views(references, [ByLook(references.look.places)])
    look = references.look.of(slice(1))
    before = alignment(references.maps[:1], look).maps[0]
    look.places[0, :, 2, 1] += 60
    after = alignment(references.maps[:1], look).maps[0]
    assert after[10, 6] > before[10, 6] + 2  # the map is four times as fine
    assert torch.equal(after[:4, 12:], before[:4, 12:])


def test_what_lies_one_place_beside_is_still_the_same(world):
    places = world.references.look.places
    moved = world.references.look.of(slice(1))
    moved.places[..., 1:] = moved.places[..., :-1].clone()
    neighbours = torch.zeros(1, 3, dtype=torch.long)  # the image itself, unmoved
    distance = ByLook(places)(torch.zeros(1, 16, 16), moved.places, neighbours)
    assert float(distance.max()) == 0


def test_a_view_weighs_the_same_in_whatever_unit_it_is(world):
    class InAnotherUnit(AsDetected):
        def forward(self, maps, places, neighbours):
            return 1000 * super().forward(maps, places, neighbours)

    by_look = ByLook(world.references.look.places)
    plain = Views(world.references, [AsDetected(), by_look])
    other = Views(world.references, [InAnotherUnit(), by_look])
    expected = plain(world.maps, world.look).maps
    assert torch.allclose(other(world.maps, world.look).maps, expected, atol=1e-3)


def test_location_and_scale_are_told_in_the_unit_of_the_raw_score(world):
    told, scalar = Cada(world.references), CadaScalar(world.references)
    expected, found = scalar(world.maps, world.look), told(world.maps, world.look)
    assert torch.equal(found.location, expected.location)
    assert torch.equal(found.scale, expected.scale)


def test_the_few_references_that_there_are_serve_as_neighbours(world):
    few = replace(
        world.references,
        maps=world.references.maps[:6],
        look=Look(*(part[:6] for part in world.references.look)),
        corrupted=world.references.corrupted[:6],
        products=world.references.products[:6],
    )
    aligned = Cada(few)(world.maps, world.look)
    assert aligned.maps.isfinite().all()
