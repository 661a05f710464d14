"""Where the time of a graph goes, and how it grows with products and with PatchCore's bank.

    python -m bench.graph [--repository REPOSITORY --name NAME]

The graph is run whole and up to the end of its backbone, in turns, on one thread; shares are of
medians.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnx.utils
import onnxruntime
import torch
import typer
from torch import Tensor, nn

from bench.support.figures import keep
from bench.support.servers import Served
from bench.support.session import session
from onegauge.export.precision import classes_of
from onegauge.training.backbones.backbone import Backbone, load_backbone
from onegauge.training.backbones.compiled import hushed
from onegauge.training.backbones.embedding import deviations
from onegauge.training.backbones.features import Seen
from onegauge.training.backbones.retrieval import NEW, Retrieval, neighbours_of
from onegauge.training.detectors import Gallery, PatchCore
from onegauge.training.detectors.gallery import MEMORIES
from onegauge.training.gauge.alignments import Look, References
from onegauge.training.gauge.alignments.cada import Cada
from onegauge.training.gauge.scoring import Scoring

TURNS = 40
SIZE = 256  # pixels, of what grows with banks and products
BANKS = (1_000, 3_000, 10_000, 30_000)
PRODUCTS, IMAGES = (1, 8, 40), 150  # and references of each


def main(repository: Path = Served.repository, name: str = Served.name) -> None:
    """Print shares and times, keep them."""
    model = Served(repository, name).file
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        parts = {"whole": model, "backbone": up_to_backbone(model, home / "backbone.onnx")}
        size = onnxruntime.InferenceSession(model).get_inputs()[0].shape[1]
        image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
        times = take_turns({k: session(v) for k, v in parts.items()}, {"image": image})
        whole, backbone = times.values()
        shares = {"backbone": backbone / whole, "all else": 1 - backbone / whole}
        sys.stdout.write(f"{whole:.1f} ms: " + ", ".join(f"{v:.1%} {k}" for k, v in shares.items()))
        banks, products = by_bank(home), by_products(home)
    sys.stdout.write("\n" + "\n".join(f"{m:6} memories {v} ms" for m, v in banks.items()) + "\n")
    sys.stdout.write("\n".join(f"{p:6} products {v} ms" for p, v in products.items()) + "\n")
    shown = {k: round(v, 4) for k, v in shares.items()}
    keep(f"graph of {name}", {"ms": whole, "shares": shown, "banks": banks, "products": products})


def up_to_backbone(model: Path, target: Path) -> Path:
    """The graph up to what the backbone hands over."""
    graph = onnx.load(model).graph
    inside = [node for node in graph.node if is_of_backbone(node)]
    made = {name for node in inside for name in node.output}
    others = [node for node in graph.node if not is_of_backbone(node)]
    handed = sorted(made & {name for node in others for name in node.input})
    onnx.utils.extract_model(model, target, ["image"], handed, check_model=False)
    return target


def is_of_backbone(node: onnx.NodeProto) -> bool:
    """Whether a node comes from it, wherever its file was then."""
    return [part.rpartition(".")[2] for part in classes_of(node)[1:2]] == [Backbone.__name__]


def take_turns(
    sessions: dict[str, onnxruntime.InferenceSession], inputs: dict[str, np.ndarray]
) -> dict[str, float]:
    """Milliseconds of a run of each; the first turn warms up."""
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for turn in range(1 + TURNS):
        for name, of in sessions.items():
            start = time.perf_counter()
            of.run(None, inputs)
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: median(found) for name, found in times.items()}


class _PatchCore(nn.Module):
    """From the stages of a ResNet18 to the map."""

    def __init__(self, memories: int) -> None:
        super().__init__()
        self.detector = PatchCore(bare_backbone())
        self.detector.bank = torch.randn(memories, self.detector.bank.shape[1]).half()

    def forward(self, *stages: Tensor) -> Tensor:
        return self.detector(Seen(stages[0], list(stages)))


class _Gallery(nn.Module):
    """From the stages of a ResNet18 to the aligned map: all that grows with the references."""

    new: Tensor

    def __init__(self, images: int) -> None:
        super().__init__()
        backbone = bare_backbone()
        self.detector = Gallery(backbone)
        wide, axes = self.detector.axes.shape
        self.detector.axes, self.detector.origin = torch.randn(wide, axes), torch.zeros(axes)
        self.detector.memories = torch.randint(-127, 128, (images, MEMORIES, axes)).to(torch.int8)
        self.detector.usual = torch.ones(images, MEMORIES)
        looks, groups = torch.randn(images, wide), torch.arange(images)
        self.retrieval = Retrieval(looks, groups)
        self.register_buffer("new", torch.tensor([NEW]))
        look = Look(
            self.retrieval.references,
            neighbours_of(self.retrieval, looks, torch.stack([groups, groups], 1)),
        )
        maps = torch.rand(images, *(SIZE // self.detector.stride,) * 2).half()
        self.alignment = Cada(References(maps, look, ("",) * images, Scoring(0.01)))

    def forward(self, *stages: Tensor) -> Tensor:
        embedding = self.retrieval.embedding(deviations(list(stages)))
        look = Look(embedding, self.retrieval(embedding, self.new))
        raw = self.detector(Seen(stages[0], list(stages), look.neighbours))
        return self.alignment(raw, look).maps


def bare_backbone() -> Backbone:
    """A ResNet18 of random weights."""
    return load_backbone("resnet18", (1, 2, 3), image_size=SIZE, pretrained=False)


def by_bank(home: Path) -> dict[int, float]:
    """Milliseconds of PatchCore by the size of its bank."""
    return {n: of_stages(_PatchCore(n), home / "patchcore.onnx") for n in BANKS}


def by_products(home: Path) -> dict[int, float]:
    """Milliseconds of neighbours, gallery and alignment by the number of products."""
    return {n: of_stages(_Gallery(n * IMAGES), home / "gallery.onnx") for n in PRODUCTS}


def of_stages(module: nn.Module, target: Path) -> float:
    """Milliseconds of a run on the stages of an image."""
    torch.manual_seed(0)
    stages = [torch.randn(1, c, SIZE // s, SIZE // s) for c, s in ((64, 4), (128, 8), (256, 16))]
    return run(exported(module, stages, target))


def exported(module: nn.Module, inputs: list[Tensor], target: Path) -> Path:
    """The module as a graph."""
    with hushed(), torch.inference_mode():
        torch.onnx.export(
            module.eval(), tuple(inputs), target, dynamo=True, verbose=False, external_data=False
        )
    return target


def run(model: Path) -> float:
    """Milliseconds of a run."""
    of = session(model)
    inputs = {i.name: np.random.default_rng(0).normal(size=i.shape) for i in of.get_inputs()}
    inputs = {name: value.astype(np.float32) for name, value in inputs.items()}
    return round(take_turns({"it": of}, inputs)["it"], 2)


if __name__ == "__main__":
    typer.run(main)
