from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from onegauge.training.gauge.alignments import Cada, Look
from onegauge.training.gauge.alignments.cada import CadaScalar, Neighbourhood, location_and_scale


def test_normal_images_of_every_class_come_out_alike(world):
    normal = ~world.anomalous
    aligned = CadaScalar(world.references)(world.maps, world.look)
    scores = world.references.scoring(aligned.maps)
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


class Scaled(nn.Module):
    """Two views of which one is in a unit of its own."""

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, maps: Tensor, *_: Tensor) -> Tensor:
        return torch.stack([self.unit * maps, maps.flip(2)])


def test_a_view_weighs_the_same_in_whatever_unit_it_is(world):
    plain, other = (
        Neighbourhood(world.references, lambda *_, unit=unit: Scaled(unit)) for unit in (1, 1000)
    )
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
        products=world.references.products[:6],
        groups=world.references.groups[:6],
    )
    aligned = Cada(few)(world.maps, world.look)
    assert aligned.maps.isfinite().all()


def test_copies_of_one_image_serve_as_references(world):
    references = world.references
    copies = replace(
        references,
        maps=references.maps[:1].expand(30, -1, -1),
        look=Look(*(part[:1].expand(30, *part.shape[1:]) for part in references.look)),
        groups=references.groups[:30],
    )
    aligned = Cada(copies)(world.maps, world.look)
    assert aligned.maps.isfinite().all()
