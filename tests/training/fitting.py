"""What test_distributed has two processes do, and then one: fit every detector, and one again.

In double precision: Adam makes of a gradient that is nothing but rounding a step as large as any.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.config import FitOptions
from onegauge.training.detectors import DETECTORS
from onegauge.training.distributed import rank, size, together
from onegauge.training.errors import TrainingError
from onegauge.training.progress import Progress

NAMES = ("revdist", "recontrast", "uniad", "dinomaly")
CHANNELS, STRIDES, SIDES = (4, 8, 16), (4, 8, 16), (16, 8, 4)
IMAGES, BATCH, EPOCHS = 10, 4, 2  # two steps an epoch, in which two images are left over


class Losses(Progress):
    """Keeps what is told of each step."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.told: list[str] = []

    @contextmanager
    def step(self, name: str, total: int) -> Iterator["Losses"]:  # noqa: ARG002
        yield self

    def advance(self, _amount: int = 1, note: str = "") -> None:
        self.told += [note] if note else []


class Network(nn.Module):
    """Three stages, each by one convolution of the image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        pairs = zip(CHANNELS, STRIDES, strict=True)
        self.stages = nn.ModuleList(nn.Conv2d(3, c, stride, stride) for c, stride in pairs)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [stage(x) for stage in self.stages]


def features() -> Features:
    """Some images, and what is taken for their features."""
    rng = np.random.default_rng(0)
    stages = [rng.random((IMAGES, c, s, s)) for c, s in zip(CHANNELS, SIDES, strict=True)]
    images = rng.integers(0, 256, (IMAGES, 64, 64, 3), np.uint8)
    return Features(images, [s.astype(np.float16) for s in stages], torch.device("cpu"))


def fit(
    name: str, state: Path, events: Mapping[int, Callable[[], object]] | None = None
) -> list[str]:
    """Fit a detector and write its weights beside the state; events happen in steps, from 1."""
    torch.manual_seed(0)
    detector, losses = DETECTORS[name](Backbone("net", Network(), CHANNELS, STRIDES)), Losses()
    loss, steps = detector.loss, count(1)

    def eventful(seen: Seen, done: float) -> Tensor:
        (events or {}).get(next(steps), lambda: None)()
        return loss(seen, done)

    detector.loss = eventful
    detector.fit(features(), FitOptions(EPOCHS, BATCH, 0, 0, state), losses)
    weights = {key: value.contiguous() for key, value in detector.state_dict().items()}
    save_file(weights, state.with_name(f"{state.stem}-{rank()}.safetensors"))
    return losses.told


def fit_all(folder: Path) -> None:
    """All detectors; the last one again with Ctrl-C in the middle, which one process hears of.

    Losses are written into a file. Of several processes one dies in the end.
    """
    told, again = {name: fit(name, folder / f"{name}.state") for name in NAMES}, folder / "again"
    hears = rank() == size() - 1
    try:
        fit(NAMES[-1], again, {2: lambda: signal.raise_signal(signal.SIGINT)} if hears else {})
    except KeyboardInterrupt:
        told["again"] = fit(NAMES[-1], again)
    (folder / f"told-{rank()}.json").write_text(json.dumps(told))
    if size() > 1:
        fit(NAMES[-1], folder / "died.state", {2: lambda: os._exit(3)} if rank() else {})


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    one, two = (Path(folder) for folder in sys.argv[1:])
    try:
        with together("cpu"):
            fit_all(two)
    except TrainingError as exc:
        (two / "error.txt").write_text(str(exc))
    fit_all(one)
