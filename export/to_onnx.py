"""The gauge as one ONNX file with fixed names and a dynamic batch."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import onnx
import torch

from onegauge.export.precision import CLASSES
from onegauge.service.model.contract import IMAGE
from onegauge.training.gauge.gauge import Gauge, Reading

OPSET = 20
TRACED_BATCH = 2  # a batch of 1 would be baked into the graph


def trace(gauge: Gauge, image_size: int, path: Path) -> None:
    """Write `gauge` to `path`: input `image` uint8 (B, H, W, 3), outputs the fields of Reading.

    Constants are inside the file, so that one file is the whole model. Of the exporter's notes the
    nodes keep the classes that they come from, not the paths of this machine.
    """
    image = torch.zeros(TRACED_BATCH, image_size, image_size, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        # The exporter warns of its own internals; what matters is verified afterwards.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            gauge.eval(),
            (image,),
            path,
            dynamo=True,
            external_data=False,
            input_names=[IMAGE],
            output_names=list(Reading._fields),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},),
            opset_version=OPSET,
            verbose=False,
        )
    model = onnx.load(path)
    _forget_paths(model.graph)
    onnx.save(model, path)


def _forget_paths(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        kept = [entry for entry in node.metadata_props if entry.key == CLASSES]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
