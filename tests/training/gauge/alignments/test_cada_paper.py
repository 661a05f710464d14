from dataclasses import replace

import torch

from onegauge.training.gauge.alignments import CadaPaper


def test_the_head_predicts_mean_and_maximum_of_normal_maps(world):
    maps = world.references.maps
    alignment = CadaPaper(world.references)
    predicted = alignment(maps, world.references.look)
    mean, peak = maps.mean((1, 2)), maps.amax((1, 2))
    for offset in (0, 1):  # class a, class b
        u, g = predicted.location[offset::2], (predicted.location + predicted.scale)[offset::2]
        assert torch.allclose(u.mean(), mean[offset::2].mean(), rtol=0.15)
        assert torch.allclose(g.mean(), peak[offset::2].mean(), rtol=0.2)


def test_the_head_is_taught_that_a_defect_changes_nothing_of_what_is_normal(world):
    def shift(alignment: CadaPaper) -> float:
        look = world.references.look
        clean = alignment(world.references.maps, look)
        harmed = alignment(
            world.references.maps, look._replace(embedding=world.references.corrupted)
        )
        return float((harmed.location / clean.location - 1).abs().mean())

    untaught = CadaPaper(replace(world.references, corrupted=world.references.look.embedding))
    assert shift(CadaPaper(world.references)) < 0.2
    assert shift(untaught) > 2 * shift(CadaPaper(world.references))


def test_the_fit_repeats_and_leaves_the_random_state_alone(world):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = CadaPaper(world.references)
    assert torch.equal(torch.rand(3), expected)
    second = CadaPaper(world.references)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_it_can_be_built_where_gradients_are_off_and_keeps_none(world):
    with torch.no_grad():
        unasked = CadaPaper(world.references)
    assert not any(p.requires_grad for p in unasked.parameters())
    expected = CadaPaper(world.references)(world.maps, world.look)
    assert torch.equal(unasked(world.maps, world.look).location, expected.location)
