"""A published graph in other forms: its constants as inputs, or replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onegauge.service.model.repository import CONSTANTS, MODEL

OWN = "own"  # (1, 2) first and last group whose references a batch is not compared with
# What the graph finds on its way and a library keeps of an image: its descriptors (B, D) and
# (B, 4, D), and its raw map (B, h, w)
HIDDEN = ("deviations", "quarters", "raw_map")
POINTS = "points"  # and its patches (B, h, w, A)
APART = 4096  # bytes of a constant from which on it lies beside the graph


def leaving_out(path: Path) -> bytes:
    """A traced graph, in whatever precision, with the input `own` int64 (1, 2) beside `image`."""
    return _serialised(with_inputs(onnx.load(path), [OWN]))


def with_inputs(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """The same graph with some constants as inputs, of any size."""
    graph, wanted = model.graph, {*names}
    for tensor in [tensor for tensor in graph.initializer if tensor.name in wanted]:
        sides = [1, 2] if tensor.name == OWN else [None] * len(tensor.dims)
        info = helper.make_tensor_value_info(tensor.name, tensor.data_type, sides)
        graph.initializer.remove(tensor)
        graph.input.append(info)
    return model


def looking(model: ModelProto, constants: Iterable[str]) -> bytes:
    """What of a graph sees images and compares them, HIDDEN and `points`: the rest is left out.

    `own` and such constants of the library as that needs are inputs, of any size.
    """
    graph = with_inputs(model, [OWN, *constants]).graph
    del graph.value_info[:]  # of other sizes
    points = next(tensor for tensor in graph.output if tensor.name == POINTS)
    del graph.output[:]
    outputs = (helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in HIDDEN)
    graph.output.extend([*outputs, points])
    _keep_what_is_needed(graph)
    return _serialised(model)


def constants_of(model: ModelProto, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The values of some constants by their names; raises KeyError where there is none of these."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    return {name: numpy_helper.to_array(found[name]) for name in names}


def replace_constants(model: ModelProto, values: Mapping[str, NDArray[Any]]) -> None:
    """Give constants other values, maybe of other sizes; raises KeyError for what is none."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, value in values.items():
        kind = helper.tensor_dtype_to_np_dtype(constants[name].data_type)
        stored = np.ascontiguousarray(value, kind)
        constants[name].CopyFrom(numpy_helper.from_array(stored.reshape(np.shape(value)), name))
    del model.graph.value_info[:]


def replace_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Take these nodes, less those and the constants whose outputs nobody uses any more."""
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(copies)
    _keep_what_is_needed(graph)


def store(model: ModelProto, folder: Path) -> Path:
    """Write a graph into a folder as it is published, and leave `model` without its constants.

    These lie beside it: ONNX Runtime maps them, where it would read a graph that holds them and
    then copy them. So those of many references are there at once, and once for all sessions.
    """
    onnx.save(
        model,
        folder / MODEL,
        save_as_external_data=True,
        location=CONSTANTS,
        size_threshold=APART,
    )
    return folder / MODEL


def _keep_what_is_needed(graph: GraphProto) -> None:
    """Leave out nodes, constants and inputs that no output depends on."""
    needed, nodes = {tensor.name for tensor in graph.output}, []
    for node in reversed(graph.node):  # which are in the order of computation
        if needed & {*node.output}:
            nodes.append(node)
            needed |= {*node.input}
    for field in (graph.initializer, graph.input):
        kept = [tensor for tensor in field if tensor.name in needed]
        del field[:]
        field.extend(kept)
    del graph.node[:]
    graph.node.extend(reversed(nodes))


def _serialised(model: ModelProto) -> bytes:
    return bytes(model.SerializeToString())
