import pickle

import pytest
import torch
from torch import Tensor, nn

from onegauge.training.backbones import compiled
from onegauge.training.backbones.compiled import ENOUGH, Compiled, pays


class Two(nn.Module):
    """What makes two outputs of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Conv2d(3, 4, 3, 2)

    def forward(self, image: Tensor, by: Tensor) -> list[Tensor]:
        found = self.network(image.float()) * by[:, None, None, None]
        return [found, found.amax((2, 3))]


@pytest.fixture(scope="module")
def two() -> tuple[Two, Compiled]:
    module = Two()
    return module, Compiled.of(module, [torch.zeros(1, 3, 16, 16).byte(), torch.ones(1)])


def images(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8)
    return [pixels, torch.arange(count).float()]


@pytest.mark.parametrize("count", [1, 5])
def test_a_graph_computes_what_its_module_does(two, count):
    module, graph = two
    for found, expected in zip(graph(*images(count)), module(*images(count)), strict=True):
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_another_process_gets_the_graph_alone_and_computes_the_same(two):
    _, graph = two
    expected = graph(*images(3))
    told = pickle.dumps(graph)
    assert len(told) < len(graph.graph) + 500
    assert all(map(torch.equal, pickle.loads(told)(*images(3)), expected))


def test_a_graph_pays_for_many_images_on_a_processor_that_has_a_runtime(monkeypatch):
    cpu = torch.device("cpu")
    assert pays(ENOUGH, cpu)
    assert not pays(ENOUGH - 1, cpu)
    assert not pays(ENOUGH, torch.device("cuda"))
    monkeypatch.setattr(compiled, "find_spec", lambda _name: None)
    assert not pays(ENOUGH, cpu)
