from dataclasses import replace

import torch

from onegauge.training.gauge.alignments import CadaPaper


def test_the_head_predicts_mean_and_maximum_of_an_images_kind(world):
    maps = world.references.maps
    predicted = CadaPaper(world.references)(maps, world.references.look)
    mean, peak = maps.mean((1, 2)), maps.amax((1, 2))
    apart = mean[1::2].mean() - mean[::2].mean()
    for kind in (slice(0, None, 2), slice(1, None, 2)):
        u, g = predicted.location[kind], (predicted.location + predicted.scale)[kind]
        assert abs(u.mean() - mean[kind].mean()) < 0.1 * apart
        assert abs(g.mean() - peak[kind].mean()) < 0.1 * apart


def test_it_does_not_learn_what_one_image_has_alone(world):
    mean = world.references.maps.mean((1, 2))[1::2]
    predicted = CadaPaper(world.references)(world.references.maps, world.references.look)
    assert predicted.location[1::2].std() < 0.5 * mean.std()


def test_the_maximum_of_a_kind_lies_above_the_mean_of_its_maxima(world):
    predicted = CadaPaper(world.references)(world.references.maps, world.references.look)
    peak = world.references.maps.amax((1, 2))
    assert (predicted.location + predicted.scale).mean() > peak.mean() + 0.05


def test_a_few_images_teach_a_rare_kind(world):
    rows = torch.tensor([*range(0, 100, 2), 1, 3, 5])
    maps, look = world.references.maps[rows], world.references.look
    few = replace(world.references, maps=maps, look=look._replace(embedding=look.embedding[rows]))
    aligned = CadaPaper(few)(world.maps, world.look)
    assert aligned.location[::2].mean() < 2
    assert aligned.location[1::2].mean() > 4.5


def test_an_image_unlike_all_others_is_given_nothing_that_they_had_not(world):
    mean = world.references.maps.mean((1, 2))
    spread = world.references.maps.amax((1, 2)) - mean
    for far in (-1000.0, 1000.0):
        look = world.look._replace(embedding=world.look.embedding * far)
        aligned = CadaPaper(world.references)(world.maps, look)
        assert ((aligned.location >= mean.min()) & (aligned.location <= mean.max())).all()
        assert ((aligned.scale >= spread.min()) & (aligned.scale <= spread.max())).all()


def test_images_that_all_look_the_same_have_the_mean_of_all(world):
    maps, look = world.references.maps, world.references.look
    same = look._replace(embedding=torch.ones_like(look.embedding))
    aligned = CadaPaper(replace(world.references, look=same))(maps, same)
    assert torch.allclose(aligned.location, maps.mean(), rtol=1e-3)


def test_maps_without_a_difference_give_numbers(world):
    flat = torch.ones_like(world.references.maps)
    aligned = CadaPaper(replace(world.references, maps=flat))(world.maps, world.look)
    assert aligned.maps.isfinite().all()
