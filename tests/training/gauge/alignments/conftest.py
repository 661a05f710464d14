"""Two implicit classes whose anomaly maps differ in location and scale, and test images of them."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from onegauge.training.backbones.neighbours import distances
from onegauge.training.backbones.retrieval import nearest
from onegauge.training.gauge.alignments import Look, References
from onegauge.training.gauge.scoring import Scoring

SIDE, SHARE = 16, 0.02
DIMENSIONS = 16
LOCATION, SCALE = torch.tensor([1.0, 6.0]), torch.tensor([0.1, 1.0])
DEFECT = 12.0  # height of a defect in units of its class's scale
CLASSES = torch.arange(100) % 2


@dataclass(frozen=True)
class World:
    """References, and test images of which every second has a local defect."""

    references: References
    maps: Tensor  # (N, h, w)
    look: Look
    products: tuple[str, ...]
    anomalous: Tensor  # (N,) bool


def draw(classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Maps (N, h, w) and embeddings (N, 3) of normal images; the first tells the class."""
    noise = torch.randn(len(classes), SIDE, SIDE, generator=generator)
    level = torch.randn(len(classes), 1, 1, generator=generator)  # images differ as wholes too
    location, scale = LOCATION[classes].view(-1, 1, 1), SCALE[classes].view(-1, 1, 1)
    embeddings = 0.3 * torch.randn(len(classes), DIMENSIONS, generator=generator)
    embeddings[:, 0] += 5.0 * classes
    return location + scale * (level + 0.3 * noise), embeddings


def known(maps: Tensor, embeddings: Tensor) -> References:
    """References of such maps and embeddings, each of a part of its own."""
    apart = distances(embeddings, embeddings).fill_diagonal_(torch.inf)
    names = tuple("ab"[i] for i in CLASSES[: len(maps)])
    return References(maps, Look(embeddings, nearest(apart)), names, Scoring(SHARE))


def among(references: References, maps: Tensor, embeddings: Tensor, anomalous: Tensor) -> World:
    """Test images beside these references."""
    look = Look(embeddings, nearest(distances(embeddings, references.look.embedding)))
    return World(references, maps, look, tuple("ab"[i] for i in CLASSES[: len(maps)]), anomalous)


@pytest.fixture(scope="session")
def world() -> World:
    generator = torch.Generator().manual_seed(0)
    references = known(*draw(CLASSES, generator))
    maps, embeddings = draw(CLASSES[:80], generator)
    anomalous = torch.arange(80) % 4 >= 2
    maps[anomalous, 3:6, 8:11] += DEFECT * SCALE[CLASSES[:80][anomalous]].view(-1, 1, 1)
    return among(references, maps, embeddings, anomalous)


@pytest.fixture(scope="session", params=["six", "copies"])
def poor(request: pytest.FixtureRequest, world: World) -> World:
    """The same images beside six references, or beside copies of one."""
    maps, embeddings = world.references.maps, world.references.look.embedding
    if request.param == "six":
        references = known(maps[:6], embeddings[:6])
    else:
        references = known(maps[:1].repeat(30, 1, 1), embeddings[:1].repeat(30, 1))
    return among(references, world.maps, world.look.embedding, world.anomalous)
