from dataclasses import replace

import pytest
import torch

from training.alignments import Cada, image_score
from training.alignments.cada import CadaScalar, location_and_scale


def test_normal_images_of_every_class_come_out_alike(world):
    normal = ~world.anomalous
    aligned = CadaScalar(world.references)(world.maps, world.embeddings)
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
    before = CadaScalar(world.references)(world.maps[:2], world.embeddings[:2])
    after = odd(world.maps[:2], world.embeddings[:2])
    assert torch.allclose(after.location, before.location, atol=0.1)


def test_a_place_that_is_always_high_counts_less_than_one_that_never_is(world):
    """An edge of the product with high raw scores in every normal image hides no defect."""
    rugged = world.references.maps.clone()
    rugged[:, :, :4] += 5 * rugged[:, :, :4].abs()
    references = replace(world.references, maps=rugged)
    image = rugged[:1].clone()
    image[0, 8, 8] = image[0, 8, 2]  # as high as the edge, where that is not normal
    embedding = references.embeddings[:1]
    by_place = Cada(references)(image, embedding).maps[0]
    by_image = CadaScalar(references)(image, embedding).maps[0]
    assert by_image[8, 8] == by_image[8, 2]
    assert by_place[8, 8] > by_place[8, 2] + 1


def test_the_few_references_that_there_are_serve_as_neighbours(world):
    few = replace(
        world.references,
        maps=world.references.maps[:6],
        embeddings=world.references.embeddings[:6],
        corrupted=world.references.corrupted[:6],
        products=world.references.products[:6],
    )
    aligned = Cada(few)(world.maps, world.embeddings)
    assert aligned.maps.isfinite().all()
