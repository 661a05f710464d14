"""Normal features of a few images, and the same with a foreign place."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.config import FitOptions

CHANNELS, STRIDES, SIDES = (8, 16, 32), (4, 8, 16), (16, 8, 4)


@pytest.fixture(scope="session")
def features() -> Features:
    """Twelve images, all black, whose features vary a little about one pattern."""
    rng = np.random.default_rng(0)
    stages = []
    for channels, side in zip(CHANNELS, SIDES, strict=True):
        pattern = rng.random((1, channels, side, side))
        stages.append((pattern + 0.05 * rng.random((12, channels, side, side))).astype(np.float16))
    return Features(np.zeros((12, 64, 64, 3), np.uint8), stages, torch.device("cpu"))


@pytest.fixture
def foreign(features: Features) -> Seen:
    """Image 0 with something foreign in the lower right quarter of a quarter."""
    seen = features.batch([0])
    for stage, side in zip(seen.stages, SIDES, strict=True):
        place = slice(side // 2, 3 * side // 4)
        stage[:, ::2, place, place] += 3
    return seen


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    """Only its shape: the features are given."""
    return Backbone("pattern", nn.Identity(), CHANNELS, STRIDES)


@pytest.fixture
def options(tmp_path) -> Callable[..., FitOptions]:
    def build(bank_size: int = 100, epochs: int = 15) -> FitOptions:
        return FitOptions(epochs, 4, bank_size, 0, tmp_path / "fit.safetensors")

    return build
