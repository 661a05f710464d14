"""The gauge as one ONNX file with fixed names and a dynamic batch.

What is published takes all images for new ones. Asked about an image that it compares others with,
such a graph would find the image itself. So the group that is left out is a constant of the file,
of which a copy for that purpose makes an input.
"""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import GraphProto, TensorProto, helper, numpy_helper

from onegauge.export.precision import CLASSES
from onegauge.service.model.contract import IMAGE
from onegauge.training.backbones.retrieval import NEW
from onegauge.training.gauge.gauge import Gauge, Reading

OWN = "own"  # (1, 2) first and last group whose references a batch is not compared with
OPSET = 20
TRACED_BATCH = 2  # a batch of 1 would be baked into the graph


def trace(gauge: Gauge, image_size: int, path: Path) -> None:
    """Write `gauge` to `path`: input `image` uint8 (B, H, W, 3), outputs the fields of Reading.

    All images count as new. Constants are inside the file, so that one file is the whole model. Of
    the exporter's notes the nodes keep the classes that they come from, not the paths of this
    machine.
    """
    image = torch.zeros(TRACED_BATCH, image_size, image_size, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        # The exporter warns of its own internals; what matters is verified afterwards.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            gauge.eval(),
            (image, torch.tensor([NEW])),
            path,
            dynamo=True,
            external_data=False,
            input_names=[IMAGE, OWN],
            output_names=list(Reading._fields),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)}, {}),
            opset_version=OPSET,
            verbose=False,
        )
    model = onnx.load(path)
    _forget_paths(model.graph)
    _fix_own(model.graph)
    onnx.save(model, path)


def leaving_out(path: Path) -> bytes:
    """A traced graph, in whatever precision, with the input `own` int64 (1, 2) beside `image`."""
    model = onnx.load(path)
    constants = model.graph.initializer
    constants.remove(next(tensor for tensor in constants if tensor.name == OWN))
    model.graph.input.append(helper.make_tensor_value_info(OWN, TensorProto.INT64, [1, 2]))
    return bytes(model.SerializeToString())


def _fix_own(graph: GraphProto) -> None:
    """Make the input `own` a constant, after the exporter, which would fold a constant away."""
    graph.input.remove(next(tensor for tensor in graph.input if tensor.name == OWN))
    graph.initializer.append(numpy_helper.from_array(np.array([NEW]), OWN))


def _forget_paths(graph: GraphProto) -> None:
    for node in graph.node:
        kept = [entry for entry in node.metadata_props if entry.key == CLASSES]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
