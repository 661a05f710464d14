from itertools import pairwise

import pytest
import torch
from torch import Tensor

from onegauge.training.detectors import PatchCore, patchcore
from onegauge.training.progress import Progress


def fitted(backbone, features, options) -> PatchCore:
    detector = PatchCore(backbone)
    detector.fit(features, options, Progress())
    return detector


def test_what_is_foreign_has_the_highest_map_value(backbone, features, foreign, options):
    detector = fitted(backbone, features, options())
    normal, odd = detector(features.batch([0])), detector(foreign)[0]
    row, column = divmod(int(odd.argmax()), 16)
    assert odd.shape == (16, 16)
    assert 7 <= row <= 12
    assert 7 <= column <= 12
    assert odd.max() > 3 * normal.max()


def test_the_bank_is_a_coreset_of_the_size_asked_for(backbone, features, options):
    detector = fitted(backbone, features, options(bank_size=40))
    assert detector.bank.shape == (40, 16 + 32)
    assert len(detector.bank.float().unique(dim=0)) == 40
    assert set(detector.source.tolist()) <= set(range(12))


@pytest.mark.parametrize(("at_least", "drawn"), [(200, 320), (400, 408), (10_000, 12 * 64)])
def test_a_bank_is_chosen_among_enough_patches(backbone, features, monkeypatch, at_least, drawn):
    """Eight for each of its forty places, or more where that is few; all where there are fewer."""
    monkeypatch.setattr(patchcore, "DRAWN", at_least)
    rng = torch.Generator().manual_seed(0)
    patches, source = PatchCore(backbone)._draw(features, 40, rng, Progress())
    assert drawn <= len(patches) < drawn + 12  # as many of each image
    assert set(source.bincount().tolist()) == {len(patches) // 12}


def test_choices_made_together_are_those_made_one_by_one(backbone, features, options, monkeypatch):
    together = fitted(backbone, features, options(bank_size=40))
    monkeypatch.setattr(patchcore, "CHOICES_AT_A_TIME", 1)
    monkeypatch.setattr(patchcore, "POINTS_AT_A_TIME", 50)
    one_by_one = fitted(backbone, features, options(bank_size=40))
    assert torch.equal(together.bank, one_by_one.bank)
    assert torch.equal(together.source, one_by_one.source)


def test_candidates_of_few_axes_are_nearly_the_nearest(backbone, features, options, monkeypatch):
    monkeypatch.setattr(patchcore, "AXES", 12)
    detector = fitted(backbone, features, options(bank_size=400))
    assert detector.axes.shape == (16 + 32, 12)
    compare_with_all(detector, patchcore._patches(features.batch(range(12))), at_most=1.1)


def compare_with_all(detector, patches, *, at_most):
    """Distances found are those to the nearest of all memories, or a little more on average."""
    found = detector._nearest(patches, None).sqrt()
    exact = torch.cdist(
        patches.flatten(1, 2),
        detector.bank.float(),
        compute_mode="donot_use_mm_for_euclid_dist",
    ).amin(2)
    assert (found >= exact - 1e-3).all()
    assert float(exact.mean()) <= float(found.mean()) < at_most * float(exact.mean())


@pytest.fixture
def of_five(backbone, monkeypatch) -> tuple[PatchCore, Tensor]:
    """A bank of 80 memories of each of five pictures unlike each other, of which an image is
    compared with as many; and patches (5, 8, 8, D) like those of each picture."""
    rng = torch.Generator().manual_seed(0)
    pictures = 4 * torch.randn(5, 1, 16 + 32, generator=rng)
    memories = pictures + torch.randn(5, 80, 16 + 32, generator=rng)
    detector = PatchCore(backbone)
    detector.remember(memories.flatten(0, 1), torch.arange(5).repeat_interleave(80))
    monkeypatch.setattr(patchcore, "_near", lambda cells: cells // 5)
    return detector, (pictures + torch.randn(5, 64, 16 + 32, generator=rng)).view(5, 8, 8, -1)


def test_an_image_is_compared_with_the_memories_that_are_like_it(of_five):
    compare_with_all(*of_five, at_most=1.1)


def test_out_of_fold_an_image_is_compared_with_as_many_of_other_pictures(of_five):
    detector, patches = of_five
    others = torch.cdist(patches.flatten(1, 2), detector.bank.float())
    own = torch.arange(5)
    others.masked_fill_((detector.source == own[:, None])[:, None], torch.inf)
    found, exact = detector._nearest(patches, own).sqrt(), others.amin(2)
    assert float(exact.mean()) <= float(found.mean()) < 1.2 * float(exact.mean())


def test_the_cells_that_an_image_is_compared_with_grow_more_slowly_than_the_bank():
    assert [patchcore._near(cells) for cells in (1, 100)] == [1, 100]
    near = [patchcore._near(cells) for cells in (1_000, 10_000, 100_000)]
    assert all(several % patchcore.GROUP == 0 for several in near)
    assert all(less < more < 6 * less for less, more in pairwise(near))


@pytest.mark.parametrize("memories", [1, 7, 8, 9, 300])
def test_a_bank_of_any_size_has_its_nearest_memories_found(backbone, features, memories):
    detector = PatchCore(backbone)
    patches = patchcore._patches(features.batch(range(12))).flatten(0, 2)[:memories]
    detector.remember(patches, torch.arange(memories))
    assert len(detector.centres) == -(-memories // patchcore.CELL)
    images = patchcore._patches(features.batch(range(12)))
    compare_with_all(detector, images, at_most=1.02)


def test_cells_are_of_memories_that_are_near_each_other():
    points = torch.randn(8 * patchcore.CELL + 3, 4, generator=torch.Generator().manual_seed(0))
    order = patchcore._by_cells(points)
    assert sorted(order.tolist()) == list(range(len(points)))
    within = [cell.std(0).mean() for cell in points[order].split(patchcore.CELL)]
    assert max(within) < float(points.std(0).mean())


def test_norms_survive_a_product_in_bfloat16():
    points = 40 + torch.randn(100, 16, generator=torch.Generator().manual_seed(0))
    answering = patchcore._answering(points)
    norms = points.square().sum(1)
    assert torch.allclose(answering[:, -2:].bfloat16().float().sum(1), norms, rtol=1e-4)
    apart = patchcore._asking(points) @ answering.T + norms[:, None]
    assert torch.allclose(apart, torch.cdist(points, points).square(), atol=0.2)


def test_a_remembered_image_scores_zero_but_not_out_of_fold(backbone, features, options):
    everything = fitted(backbone, features, options(bank_size=12 * 64))
    maps = everything(features.batch(range(12)))
    out_of_fold = everything.out_of_fold(features, Progress()).float()
    assert float(maps.max()) < 0.1
    assert (out_of_fold.mean((1, 2)) > 3 * maps.mean((1, 2))).all()


def test_out_of_fold_is_what_a_bank_without_the_image_says(backbone, features, options):
    detector = fitted(backbone, features, options(bank_size=12 * 64))
    found = detector.out_of_fold(features, Progress())[4].float()
    others = detector.source != 4
    detector.bank, detector.source = detector.bank[others], detector.source[others]
    assert torch.allclose(found, detector(features.batch([4]))[0], atol=1e-2)


@pytest.mark.parametrize("columns", [1, patchcore.GROUP - 1, 3 * patchcore.GROUP])
def test_the_least_of_groups_is_the_least_of_all(columns):
    values = torch.randn(2, 50, columns, generator=torch.Generator().manual_seed(0))
    values[0, 0] = torch.inf
    values[0, 1, 40:] = torch.inf
    distance, column = patchcore._least(values)
    assert torch.equal(distance, values.amin(2, keepdim=True))
    assert torch.equal(values.gather(2, column), distance)
