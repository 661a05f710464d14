"""Two implicit classes whose anomaly maps differ in location and scale, and test images of them."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from onegauge.training.gauge.alignments import Look, References
from onegauge.training.gauge.scoring import Scoring

SIDE, SHARE = 16, 0.02
GRID, COMPONENTS = 4, 2
DIMENSIONS = 16
LOCATION, SCALE = torch.tensor([1.0, 6.0]), torch.tensor([0.1, 1.0])
DEFECT = 12.0  # height of a defect in units of its class's scale


@dataclass(frozen=True)
class World:
    """References, and test images of which every second has a local defect."""

    references: References
    maps: Tensor  # (N, h, w)
    look: Look
    products: tuple[str, ...]
    anomalous: Tensor  # (N,) bool


def draw(classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Look]:
    """Maps (N, h, w) and looks of normal images; classes lie apart by the embedding's first."""
    noise = torch.randn(len(classes), SIDE, SIDE, generator=generator)
    level = torch.randn(len(classes), 1, 1, generator=generator)  # images differ as wholes too
    location, scale = LOCATION[classes].view(-1, 1, 1), SCALE[classes].view(-1, 1, 1)
    embeddings = 0.3 * torch.randn(len(classes), DIMENSIONS, generator=generator)
    embeddings[:, 0] += 5.0 * classes
    places = 10 * torch.randn(len(classes), COMPONENTS, GRID, GRID, generator=generator)
    return location + scale * (level + 0.3 * noise), Look(embeddings, places)


@pytest.fixture(scope="session")
def world() -> World:
    generator = torch.Generator().manual_seed(0)
    known, new = torch.arange(100) % 2, torch.arange(80) % 2
    maps, look = draw(known, generator)
    names = tuple("ab"[i] for i in known)
    stored = Look(look.embedding, look.places.round().to(torch.int8))
    references = References(maps, stored, names, Scoring(SHARE), torch.arange(100))
    maps, look = draw(new, generator)
    anomalous = torch.arange(80) % 4 >= 2
    maps[anomalous, 3:6, 8:11] += DEFECT * SCALE[new[anomalous]].view(-1, 1, 1)
    look.places[anomalous, :, 1, 2] += 100
    return World(references, maps, look, tuple("ab"[i] for i in new), anomalous)
