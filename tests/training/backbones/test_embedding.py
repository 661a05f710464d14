import numpy as np
import torch

from onegauge.library import likeness
from onegauge.training.backbones.embedding import Embedding, deviations, quarters


def test_descriptors_are_deviations_and_means_of_quarters_of_each_channel():
    stage = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]])  # (1, 2, 1, 2)
    assert torch.allclose(deviations([stage]), torch.tensor([[1.0, 0.0]]))
    left, right = [1.0, 5.0], [3.0, 5.0]
    assert torch.allclose(quarters([stage]), torch.tensor([[left, right, left, right]]))


def test_the_means_of_quarters_are_together_that_of_the_whole():
    stage = torch.rand(2, 3, 8, 6)
    assert torch.allclose(quarters([stage]).mean(1), stage.mean((2, 3)))
    assert torch.allclose(quarters([stage])[:, 1], stage[:, :, :4, 3:].mean((2, 3)))


def test_descriptors_of_all_stages_follow_each_other():
    stages = [torch.rand(4, 3, 8, 8), torch.rand(4, 5, 1, 1)]
    assert deviations(stages).shape == (4, 8)
    assert quarters(stages).shape == (4, 4, 8)
    assert quarters(stages).isfinite().all()


def test_every_descriptor_counts_alike():
    values = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    scaled = values * torch.tensor([1.0, 1e3, 1.0, 1e-2, 1.0, 1.0]) + 7
    embedded = Embedding(scaled)(scaled)
    apart = torch.cdist(Embedding(values)(values), Embedding(values)(values))
    assert torch.allclose(torch.cdist(embedded, embedded), apart, atol=1e-2)


def test_the_graph_embeds_as_a_library_does():
    values = torch.randn(30, 6, generator=torch.Generator().manual_seed(1))
    expected = likeness.Embedding.of(values.numpy())(values.numpy())
    assert np.allclose(Embedding(values)(values).numpy(), expected, atol=1e-6)


def test_a_constant_descriptor_is_no_division_by_zero():
    values = torch.randn(10, 4)
    values[:, 1] = 3
    assert Embedding(values)(values).isfinite().all()
