"""Two implicit classes whose anomaly maps differ in location and scale, and test images of them."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from training.alignments import References

SIDE, SHARE = 16, 0.02
LOCATION, SCALE = torch.tensor([1.0, 6.0]), torch.tensor([0.1, 1.0])
DEFECT = 12.0  # height of a defect in units of its class's scale


@dataclass(frozen=True)
class World:
    """References, and test images of which every second has a local defect."""

    references: References
    maps: Tensor  # (N, h, w)
    embeddings: Tensor  # (N, E)
    products: tuple[str, ...]
    anomalous: Tensor  # (N,) bool


def draw(classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Maps (N, h, w) and embeddings (N, 3) of normal images; classes lie apart by the first."""
    noise = torch.randn(len(classes), SIDE, SIDE, generator=generator)
    level = torch.randn(len(classes), 1, 1, generator=generator)  # images differ as wholes too
    location, scale = LOCATION[classes].view(-1, 1, 1), SCALE[classes].view(-1, 1, 1)
    embeddings = 0.3 * torch.randn(len(classes), 3, generator=generator)
    embeddings[:, 0] += 5.0 * classes
    return location + scale * (level + 0.3 * noise), embeddings


@pytest.fixture(scope="session")
def world() -> World:
    generator = torch.Generator().manual_seed(0)
    known, new = torch.arange(100) % 2, torch.arange(80) % 2
    maps, embeddings = draw(known, generator)
    harmed = embeddings + torch.tensor([0.0, 0.0, 4.0])  # what a synthetic anomaly does
    names = tuple("ab"[i] for i in known)
    references = References(maps, embeddings, harmed, names, SHARE)
    maps, embeddings = draw(new, generator)
    anomalous = torch.arange(80) % 4 >= 2
    maps[anomalous, 3:6, 8:11] += DEFECT * SCALE[new[anomalous]].view(-1, 1, 1)
    return World(references, maps, embeddings, tuple("ab"[i] for i in new), anomalous)
