import torch

from training.novelty import Novelty


def cloud(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def test_normal_images_are_known_at_the_promised_rate_and_far_ones_are_not():
    novelty = Novelty(cloud(200, 0), cloud(200, 1), 0.05, torch.arange(200))
    called_unknown = (novelty(cloud(2000, 2)) >= 1).float().mean()
    assert 0.02 < float(called_unknown) < 0.09
    assert (novelty(cloud(100, 3) + 20) >= 1).all()


def test_where_calibration_images_are_few_normal_ones_seldom_seem_unknown_all_the_same():
    novelty = Novelty(cloud(50, 0), cloud(10, 1), 0.001, torch.arange(10))
    assert (novelty(cloud(10, 1)) < 1).all()
    assert (novelty(cloud(1000, 2)) >= 1).float().mean() < 0.03  # the largest of 10 gives 0.09
    assert (novelty(cloud(100, 3) + 20) >= 1).all()


def test_fewer_references_than_neighbours_are_enough():
    assert Novelty(cloud(3, 0), cloud(10, 1), 0.1, torch.arange(10))(cloud(2, 2)).isfinite().all()
