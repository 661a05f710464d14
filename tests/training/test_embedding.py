import torch

from training.embedding import Embedding, deviations, means


def test_descriptors_are_mean_and_deviation_of_each_channel():
    stage = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]])  # (1, 2, 1, 2)
    assert torch.allclose(means([stage]), torch.tensor([[2.0, 5.0]]))
    assert torch.allclose(deviations([stage]), torch.tensor([[1.0, 0.0]]))


def test_descriptors_of_all_stages_follow_each_other():
    stages = [torch.rand(4, 3, 8, 8), torch.rand(4, 5, 1, 1)]
    for descriptor in (means(stages), deviations(stages)):
        assert descriptor.shape == (4, 8)
        assert descriptor.isfinite().all()


def test_every_descriptor_counts_alike_and_the_normal_mean_is_at_zero():
    values = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    scaled = values * torch.tensor([1.0, 1e3, 1.0, 1e-2, 1.0, 1.0]) + 7
    embedded = Embedding(scaled)(scaled)
    assert torch.allclose(embedded.mean(0), torch.zeros(6), atol=1e-4)
    apart = torch.cdist(Embedding(values)(values), Embedding(values)(values))
    assert torch.allclose(torch.cdist(embedded, embedded), apart, atol=1e-2)


def test_a_constant_descriptor_is_no_division_by_zero():
    values = torch.randn(10, 4)
    values[:, 1] = 3
    assert Embedding(values)(values).isfinite().all()
