import torch

from onegauge.library import novelty as library
from onegauge.library.likeness import Embedding
from onegauge.library.novelty import NEAREST, SHRINKAGE
from onegauge.training.backbones.retrieval import NEW
from onegauge.training.gauge.novelty import Novelty


def cloud(count: int, seed: int, spread: float = 1.0, at: float = 0.0) -> torch.Tensor:
    """Descriptors (count, 4, 6) of images whose quarters differ."""
    return spread * torch.randn(count, 4, 6, generator=torch.Generator().manual_seed(seed)) + at


def fitted(references: torch.Tensor, calibration: torch.Tensor, rate: float) -> Novelty:
    """Each image a picture and a part of its own."""
    novelty = of_parts(references, torch.arange(len(references)))
    novelty.calibrate(of_new(novelty, calibration), rate, torch.arange(len(calibration)))
    return novelty


def of_parts(references: torch.Tensor, groups: torch.Tensor) -> Novelty:
    """Of references which are all neighbours of each other."""
    return Novelty(references, groups, all_of(references, references))


def all_of(references: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """All references as the neighbours of images."""
    return torch.arange(len(references)).expand(len(images), -1)


def of_new(novelty: Novelty, quarters: torch.Tensor) -> torch.Tensor:
    """The novelty of images that are of no reference's part."""
    return novelty(quarters, all_of(novelty.bank, quarters), torch.tensor([NEW]))


def test_normal_images_are_known_at_the_promised_rate_and_far_ones_are_not():
    novelty = fitted(cloud(200, 0), cloud(200, 1), 0.05)
    called_unknown = (of_new(novelty, cloud(2000, 2)) >= 1).float().mean()
    assert 0.02 < float(called_unknown) < 0.09
    assert (of_new(novelty, cloud(100, 3) + 20) >= 1).all()


def mixture(count: int, seed: int) -> torch.Tensor:
    """A product whose images differ widely, and far from it one whose images are much alike."""
    return torch.cat([cloud(count, seed, spread=10), cloud(count, seed + 1, spread=0.1, at=30)])


def test_a_wide_product_does_not_hide_a_new_one_near_a_tight_one():
    novelty = fitted(mixture(200, 0), mixture(100, 2), 0.01)
    assert (of_new(novelty, cloud(100, 4, spread=0.1, at=33)) >= 1).all()
    known = torch.cat(
        [(of_new(novelty, mixture(200, seed)) >= 1).float() for seed in range(6, 26, 2)]
    )
    assert float(known.mean()) <= 0.02


def test_a_new_product_is_unlike_in_every_quarter_and_a_defect_is_not():
    novelty = fitted(cloud(200, 0), cloud(200, 1), 0.01)
    defective = cloud(100, 2)
    defective[:, 2:] += 20
    assert float((of_new(novelty, defective) >= 1).float().mean()) <= 0.1
    assert (of_new(novelty, cloud(100, 3, at=20)) >= 1).all()


def test_no_reference_is_near_by_another_shot_of_its_own_part():
    parts = cloud(100, 0)
    shots = parts.repeat_interleave(4, 0) + cloud(400, 1, spread=0.01)
    groups = torch.arange(100).repeat_interleave(4)
    novelty, embedding = of_parts(shots, groups), Embedding.of(shots[:, 0].numpy())
    asked = torch.from_numpy(embedding.projected(parts[:, 0].numpy()))
    apart = torch.cdist(asked, novelty.bank[:, 0])
    apart[torch.arange(100)[:, None] == groups] = torch.inf
    nearest = apart.topk(NEAREST, largest=False).values.mean(1)
    usual = nearest ** (1 - SHRINKAGE) * nearest.mean() ** SHRINKAGE
    assert torch.allclose(novelty.usual[:, 0].view(100, 4).mean(1), usual, rtol=0.1)


def test_references_that_are_all_alike_still_give_numbers():
    alike = torch.ones(20, 4, 6)
    assert of_new(fitted(alike, alike, 0.1), torch.cat([alike, cloud(5, 0)])).isfinite().all()


def test_where_calibration_images_are_few_normal_ones_seldom_seem_unknown_all_the_same():
    novelty = fitted(cloud(50, 0), cloud(10, 1), 0.001)
    assert (of_new(novelty, cloud(10, 1)) < 1).all()
    assert (
        of_new(novelty, cloud(1000, 2)) >= 1
    ).float().mean() < 0.03  # the largest of 10 gives 0.09
    assert (of_new(novelty, cloud(100, 3) + 20) >= 1).all()


def test_fewer_references_than_neighbours_are_enough():
    assert of_new(fitted(cloud(3, 0), cloud(10, 1), 0.1), cloud(2, 2)).isfinite().all()


def test_a_reference_is_as_novel_among_the_others_as_if_it_were_none_of_them():
    """As far as that is exact: what is usual at its neighbours was found beside it."""
    references, groups = cloud(300, 0), torch.arange(300)
    among_all = of_parts(references, groups)(
        references[:1], all_of(references, references[:1]), torch.tensor([[0, 0]])
    )
    without = of_new(of_parts(references[1:], groups[1:]), references[:1])
    assert torch.allclose(among_all, without, rtol=0.05)
    assert float(of_new(of_parts(references, groups), references[:1])) < 0.9 * float(without)


def test_quarters_are_compared_with_the_neighbours_alone():
    references = torch.cat([cloud(100, 0), cloud(100, 1, at=20)])
    novelty = of_parts(references, torch.arange(200))
    images, new = cloud(10, 2), torch.tensor([NEW])
    of_kind, of_others = (torch.arange(40).expand(10, -1) + first for first in (0, 100))
    assert (novelty(images, of_others, new) > 3 * novelty(images, of_kind, new)).all()


def test_graph_and_library_say_the_same():
    references, groups = cloud(100, 0), torch.arange(50).repeat_interleave(2)
    images = torch.cat([cloud(10, 1), references[:10]])
    own = torch.cat([torch.tensor([NEW]).expand(10, 2), groups[:10, None].expand(-1, 2)])
    rows = all_of(references, images)
    twin = library.Novelty.of(
        *(p.numpy() for p in (references, groups, all_of(references, references)))
    )
    found = of_parts(references, groups)(images, rows, own)
    expected = twin(images.numpy(), rows.numpy(), own.numpy())
    assert torch.allclose(found, torch.from_numpy(expected), rtol=1e-4)
