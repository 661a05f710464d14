"""The gauge as one ONNX file with fixed names and a dynamic batch.

What is published takes all images for new ones. Asked about an image that it compares others with,
such a graph would find the image itself. So the group that is left out is a constant of the file,
of which a copy for that purpose makes an input. Where the gauge has a library of normal images, all
that follows from it is such a constant: images come and go by other values. Of every gauge so is
what was calibrated.
"""

from __future__ import annotations

from ast import literal_eval
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import GraphProto, numpy_helper
from torch import Tensor, nn
from torch.func import functional_call

from onegauge.export.graph import HIDDEN, OWN
from onegauge.export.precision import CLASSES
from onegauge.library.likeness import NEIGHBOURS
from onegauge.service.model.contract import EXPLAINING, IMAGE
from onegauge.training.backbones.compiled import hushed
from onegauge.training.backbones.embedding import deviations, quarters
from onegauge.training.backbones.retrieval import NEW
from onegauge.training.gauge.gauge import DECIDED, Gauge, Reading

OPSET = 20
TRACED_BATCH = 2  # a batch of 1 would be baked into the graph
MOST = 1_000_000  # references
OF_EACH = ("references", "groups", "bank", "usual", "memories", "scores", "spreads", "maps")
LIBRARY = ("alignment", "calibration", "detector", "novelty", "retrieval")  # hold its constants


def trace(gauge: Gauge, image_size: int, path: Path) -> None:
    """Write `gauge` to `path`: input `image` uint8 (B, H, W, 3), outputs the fields of Reading.

    All images count as new. Constants are inside the file, so that one file is the whole model. Of
    the exporter's notes the nodes keep the classes that they come from, not the paths of this
    machine. A gauge with a library also gives what explains an answer, `EXPLAINING`.
    """
    image = torch.zeros(TRACED_BATCH, image_size, image_size, 3, dtype=torch.uint8)
    own = torch.tensor([NEW])
    told = gauge.keeps_library
    constants = _constants(gauge)
    names = [*Reading._fields, *((*EXPLAINING, *HIDDEN) if told else ())]
    with hushed():
        torch.onnx.export(
            _Traced(gauge.eval(), [*constants], told=told),
            (image, own, [*constants.values()]),
            path,
            dynamo=True,
            external_data=False,
            input_names=[IMAGE, OWN, *constants],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)}, {}, _sides(constants)),
            opset_version=OPSET,
            verbose=False,
        )
    model = onnx.load(path)
    _forget_paths(model.graph)
    for name, value in {OWN: own, **constants}.items():
        _fix(model.graph, name, value)
    for output in [output for output in model.graph.output if output.name in HIDDEN]:
        model.graph.output.remove(output)
    onnx.save(model, path)


class _Traced(nn.Module):
    """The gauge, given the constants of its library, and with more to say."""

    def __init__(self, gauge: Gauge, names: list[str], *, told: bool) -> None:
        super().__init__()
        self.gauge = _Telling(gauge) if told else gauge
        self.names = [f"gauge.{name}" if told else name for name in names]

    def forward(self, image: Tensor, own: Tensor, constants: list[Tensor]) -> tuple[Any, ...]:
        given = dict(zip(self.names, constants, strict=True))
        found: tuple[Any, ...] = functional_call(self.gauge, given, (image, own))
        return found


class _Telling(nn.Module):
    """The outputs of Reading, EXPLAINING and HIDDEN."""

    def __init__(self, gauge: Gauge) -> None:
        super().__init__()
        self.gauge = gauge

    def forward(self, image: Tensor, own: Tensor) -> tuple[Tensor, ...]:
        seen, look = self.gauge.see(image, own)
        detector: Any = self.gauge.detector  # a Gallery
        raw, points = detector.with_points(seen)
        reading = self.gauge.read(seen, look, raw, own)
        rows, weights = look.neighbours
        described = deviations(seen.stages), quarters(seen.stages)
        return (*reading, rows.int(), weights, points, *described, raw)


def _constants(gauge: Gauge) -> dict[str, Tensor]:
    """What is calibrated, and all that follows from a library, by the names in the graph."""
    rooms = LIBRARY if gauge.keeps_library else ()
    return {
        name: value
        for name, value in gauge.named_buffers()
        if name in DECIDED
        or name.partition(".")[0] in rooms
        and not name.startswith(("detector.backbone", "detector.places", "detector.plain"))
    }


def _sides(constants: dict[str, Tensor]) -> list[dict[int, Any]]:
    """The sides of each constant that change with the library: images, and what depends on them."""
    images = torch.export.Dim("references", min=NEIGHBOURS, max=MOST)
    scores = torch.export.Dim("calibrated", min=2, max=MOST)
    width = torch.export.Dim("components", min=2, max=MOST)
    found: list[dict[int, Any]] = []
    for name, value in constants.items():
        sides: dict[int, Any] = {}
        last = name.rpartition(".")[2]
        if name == "calibration.scores":
            sides[0] = scores
        elif last in OF_EACH:
            sides[0] = images
        if last in ("references", "bank", "projection"):
            sides[value.dim() - 1] = width
        found.append(sides)
    return found


def _fix(graph: GraphProto, name: str, value: Tensor) -> None:
    """Make an input a constant, after the exporter, which would fold a constant away."""
    graph.input.remove(next(tensor for tensor in graph.input if tensor.name == name))
    graph.initializer.append(numpy_helper.from_array(value.numpy(), name))


def _forget_paths(graph: GraphProto) -> None:
    """Keep of the notes of the nodes their classes alone, within what the tracing wraps."""
    for node in graph.node:
        told = {entry.key: entry.value for entry in node.metadata_props}
        del node.metadata_props[:]
        if CLASSES in told:
            _, *inside = literal_eval(told[CLASSES])
            node.metadata_props.add(key=CLASSES, value=repr(inside))
