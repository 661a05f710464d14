"""How much arithmetic a graph asks for: multiplications and additions of its large products."""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx
from onnx import ModelProto, shape_inference


def operations(model: Path) -> dict[str, int]:
    """Those of one image by the names of the nodes, of convolutions and matrix products alone."""
    graph = _of_one_image(onnx.load(model)).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    } | {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul"):
            second = shapes[node.input[1]]
            summed = prod(second[1:]) if node.op_type == "Conv" else second[-2]
            found[node.name] = 2 * prod(shapes[node.output[0]]) * summed
    return found


def _of_one_image(model: ModelProto) -> ModelProto:
    """The same with all sizes known."""
    graph = model.graph
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    return shape_inference.infer_shapes(model, data_prop=True)
