"""What each detector costs: size, multiply-adds, time of an image, and images a second in training.

    python -m bench.detectors sizes        parameters and multiply-adds, of the papers' sizes too
    python -m bench.detectors times        inspection and training on this machine, ResNet18 at 256²

Times are of random weights and noise, which cost what trained ones cost. Inspection is told as a
multiple of the backbone's own time and training as a multiple of the plain step, in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from onegauge.training.backbones.backbone import Backbone, load_backbone
from onegauge.training.backbones.features import Seen
from onegauge.training.backbones.retrieval import NEIGHBOURS, Neighbours
from onegauge.training.detectors import DETECTORS, Detector, Gallery, PatchCore
from onegauge.training.detectors.gallery import MEMORIES

SIZE, BATCH, ROUNDS = 256, 16, 3
BANK = 10_000  # patches in PatchCore's memory
REFERENCES = 1_000  # images in a gallery
SMALL = [(detector, "resnet18", 256) for detector in DETECTORS]
PAPERS = [
    ("patchcore", "wide_resnet50_2", 256),
    ("revdist", "wide_resnet50_2", 256),
    ("recontrast", "wide_resnet50_2", 256),
    ("uniad", "efficientnet_b4", 224),
    ("dinomaly", "vit_small_patch14_reg4_dinov2", 392),
    ("dinomaly", "vit_base_patch14_reg4_dinov2", 392),
]
app = typer.Typer()


@app.command()
def sizes() -> None:
    """Parameters in millions, multiply-adds of one image in milliards, weights in fp32."""
    table = Table("detector", "backbone", "pixels", "backbone, M", "trained, M", "GMAC", "MB")
    for name, network, size in SMALL + PAPERS:
        backbone, detector = built(name, network, size)
        counted = [sum(p.numel() for p in part.parameters()) for part in (backbone, detector)]
        tensors = [*backbone.state_dict().values(), *detector.state_dict().values()]
        stored = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        image = torch.zeros(1, size, size, 3, dtype=torch.uint8)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            detector(seen_by(backbone, image))
        cells = [f"{count / 1e6:.1f}" for count in counted]
        cells += [f"{counter.get_total_flops() / 2e9:.1f}", f"{stored / 1e6:.0f}"]
        table.add_row(name, network, str(size), *cells)
    Console(width=120).print(table)


@app.command()
def times() -> None:
    """Milliseconds of an image, and images a second of a training step, each way of it."""
    ways = ("training", "channels last", "compiled")
    table = Table("detector", "batch 1, ms", "of the backbone", "batch 8, ms", *ways)
    for name, network, size in SMALL:
        backbone, detector = built(name, network, size)
        trained = () if detector.leaves_one_out else training(backbone, detector)
        table.add_row(name, *inspection(backbone, detector), *trained)
    Console(width=120).print(table)


@torch.inference_mode()
def inspection(backbone: Backbone, detector: Detector) -> Iterator[str]:
    """Milliseconds of an image alone, as a multiple of the backbone's, and in a batch."""
    for batch in (1, 8):
        image = torch.randint(0, 256, (batch, SIZE, SIZE, 3), dtype=torch.uint8)

        def whole(image: Tensor = image) -> Tensor:
            return detector(seen_by(backbone, image))

        alone, both = taking_turns(partial(backbone, image), whole)
        yield f"{1000 * both / batch:.1f}"
        if batch == 1:
            yield f"x {both / alone:.2f}"


def training(backbone: Backbone, detector: Detector) -> Iterator[str]:
    """Images a second of a plain step, and the other ways as multiples of it."""
    image = torch.randint(0, 256, (BATCH, SIZE, SIZE, 3), dtype=torch.uint8)
    with torch.no_grad():
        seen = Seen(image, backbone(image))
    detector.train()

    def step(loss: Callable[[Seen, float], Tensor], seen: Seen) -> None:
        detector.zero_grad(set_to_none=True)
        loss(seen, 0.5).backward()

    plain = timed(partial(step, detector.loss, seen))
    yield f"{BATCH / plain:.1f} images/s"
    detector.to(memory_format=torch.channels_last)
    last = [stage.to(memory_format=torch.channels_last) for stage in seen.stages]
    yield f"x {plain / timed(partial(step, detector.loss, Seen(image, last))):.2f}"
    detector.to(memory_format=torch.contiguous_format)
    yield f"x {plain / timed(partial(step, torch.compile(detector.loss), seen)):.2f}"


def built(name: str, network: str, size: int) -> tuple[Backbone, Detector]:
    """Random weights; what is remembered is of the usual size."""
    torch.manual_seed(0)
    backbone = load_backbone(network, image_size=size, pretrained=False)
    detector = DETECTORS[name](backbone).eval()
    if isinstance(detector, PatchCore):
        detector.bank = torch.randn(BANK, detector.bank.shape[1]).half()
    if isinstance(detector, Gallery):
        axes = len(detector.origin)
        detector.memories = torch.zeros(REFERENCES, MEMORIES, axes, dtype=torch.int8)
        detector.usual = torch.ones(REFERENCES, MEMORIES)
    return backbone, detector


def seen_by(backbone: Backbone, image: Tensor) -> Seen:
    """Images (B, H, W, 3) beside some references, which only a gallery reads."""
    rows = torch.arange(NEIGHBOURS).expand(len(image), -1)
    return Seen(image, backbone(image), Neighbours(rows, torch.full(rows.shape, 1 / NEIGHBOURS)))


def taking_turns(*calls: Callable[[], object]) -> list[float]:
    """Median seconds of each, round by round, so that a noisy machine is noisy for all."""
    for call in calls:
        call()
    rounds = [[once(call) for call in calls] for _ in range(3 * ROUNDS)]
    return [median(column) for column in zip(*rounds, strict=True)]


def timed(call: Callable[[], object]) -> float:
    """Median seconds, the first call, which may compile, left out."""
    call()
    return median(once(call) for _ in range(ROUNDS))


def once(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    app()
