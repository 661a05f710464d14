"""Smaller precisions for the networks of a graph; everything that decides stays in fp32.

fp16  for GPUs: baked into the graph, since TensorRT 11 takes precisions from there alone
int8  for CPUs and TensorRT: static, weights by channel, in pairs of QuantizeLinear and
      DequantizeLinear whose scales come from normal images

Networks are the layers of the backbone and of a detector's trained parts. Normalised pixels,
distances to memories, alignment, calibration and novelty are none, nor is within a network what
sums up many numbers or divides by such sums. On CPUs int8 has distances as well, see `nearest`.
"""

from __future__ import annotations

import logging
from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from onegauge.export.graph import replace_nodes
from onegauge.export.nearest import nearest_in_integers
from onegauge.export.rounding import round_weights
from onegauge.service.model.contract import IMAGE

Precision = Literal["fp32", "fp16", "int8"]

NETWORKS = ("onegauge.training.backbones.backbone.", "onegauge.training.detectors.")
# What torch's exporter notes of a node: the classes of the modules that it comes from
CLASSES = "pkg.torch.onnx.class_hierarchy"
LAYER_DEPTH = 4  # gauge, backbone or detector, a layer or more, the operation itself
FP32_ONLY = {
    *("Cast", "Clip", "Div", "Exp", "LayerNormalization", "Pow", "ReduceL2", "ReduceMean"),
    *("ReduceSum", "Resize", "Shape", "Softmax", "Sqrt", "TopK"),
}
TO_INT8 = ("Conv", "ConvTranspose", "Gemm", "MatMul")
BETWEEN = ("Add", "Clip", "MaxPool", "Relu")  # on CPUs in int8 after a convolution that is
# Of a network the first layers stay in fp32 that sum up fewer products: their errors even out less,
# and as integers they take no less time
ENOUGH = 32
# Of weights to either side of 0. Processors without VNNI sum two products each in 16 bits, and cut
# off what is more: two of 255 by 64 fit, two of 255 by 127 do not
STEPS_ON_CPUS, STEPS = 64, 127
LARGEST_HALF = 65504.0
RELU6 = "aten.hardtanh."  # what torch's exporter calls the ReLU6; other Clips guard divisors
SIX = np.float32(6)
HALF = ".fp16"  # ends the names of tensors in fp16


def network_nodes(graph: GraphProto) -> list[NodeProto]:
    """The nodes of a traced graph that belong to its networks."""
    return [node for node in graph.node if _is_of_network(node)]


def to_half(model: ModelProto) -> None:
    """Compute the networks in fp16, in place: weights are stored so, and tensors are cast where
    they enter and leave.

    Unlike the usual converters, which round between any two nodes that stay in fp32, too.
    """
    graph = model.graph
    of_networks = network_nodes(graph)
    chosen = {n.name for n in of_networks if n.op_type not in FP32_ONLY or _is_relu6(n)}
    floats = _float_tensors(graph)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    halves: dict[str, str] = {}  # of tensors and weights that stay in fp32 as well
    nodes: list[NodeProto] = []
    for node in list(graph.node):
        if node.name not in chosen:
            nodes.append(node)
            continue
        for i, name in enumerate(node.input):
            if name in floats:
                if name not in halves:
                    halves[name] = f"{name}{HALF}"
                    if name in weights:
                        graph.initializer.append(_half_of(weights[name], halves[name]))
                    else:
                        nodes.append(_cast(name, halves[name], TensorProto.FLOAT16))
                node.input[i] = halves[name]
        outputs = [name for name in node.output if name in floats]
        for i, name in enumerate(node.output):
            if name in floats:
                halves[name] = node.output[i] = f"{name}{HALF}"
        nodes.append(node)
        nodes += [_cast(halves[name], name, TensorProto.FLOAT) for name in outputs]
    replace_nodes(graph, nodes)


def to_int8(traced: Path, target: Path, images: np.ndarray) -> None:
    """Write the graph with its networks in int8, scaled by normal images uint8 (N, H, W, 3).

    What layers give is unsigned: CPUs multiply unsigned by signed numbers, and ONNX Runtime takes
    ten times as long where both are signed. Between convolutions nothing goes to fp32 and back.
    Weights have 7 bits, so that all processors give the same.
    """
    model = onnx.load(traced)
    nodes = network_nodes(model.graph)
    layers = _layers(model)
    given = {name for node in layers if node.op_type == "Conv" for name in node.output}
    between = []
    for node in nodes:
        fits = node.op_type in BETWEEN and (node.op_type != "Clip" or _is_relu6(node))
        if fits and given.intersection(node.input):
            between.append(node)
            given.update(node.output)
    told = _rounded_weights(model, layers, images, STEPS_ON_CPUS)
    nearest_in_integers(model)
    _quantize(model, target, images, [*layers, *between], told, QuantType.QUInt8)


def to_symmetric_int8(traced: Path, target: Path, images: np.ndarray) -> None:
    """The same for TensorRT, which takes no zero point but 0."""
    model = onnx.load(traced)
    nodes = network_nodes(model.graph)
    layers = _layers(model)
    # A layer before a ReLU6 has its range, beyond which the ReLU6 would cut all the same
    ranges = {n.input[0]: [{"rmin": -SIX, "rmax": SIX}] for n in nodes if _is_relu6(n)}
    told = ranges | _rounded_weights(model, layers, images, STEPS)
    _quantize(model, target, images, layers, told, QuantType.QInt8)


def _layers(model: ModelProto) -> list[NodeProto]:
    """Those of a network that int8 pays for."""
    sizes = {tensor.name: prod(tensor.dims[1:]) for tensor in model.graph.initializer}
    layers = [node for node in network_nodes(model.graph) if node.op_type in TO_INT8]
    return [*dropwhile(lambda node: sizes.get(node.input[1], ENOUGH) < ENOUGH, layers)]


def _rounded_weights(
    model: ModelProto, layers: list[NodeProto], images: np.ndarray, steps: int
) -> dict[str, list[dict[str, Any]]]:
    """Round the weights of layers in place, and tell the quantizer how far their steps reach."""
    found = round_weights(model, layers, images, steps)
    return {
        name: [{"axis": 0, "rmin": -largest, "rmax": largest} for largest in channels]
        for name, channels in found.items()
    }


def _quantize(
    model: ModelProto,
    target: Path,
    images: np.ndarray,
    nodes: list[NodeProto],
    told: dict[str, list[dict[str, Any]]],
    kind: QuantType,
) -> None:
    """Write the graph with these nodes in int8; the scales of some tensors are `told`."""
    with _without_advice():
        quantize_static(
            model,
            target,
            _Images(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*TO_INT8, *BETWEEN],
            nodes_to_quantize=[node.name for node in nodes],
            per_channel=True,
            activation_type=kind,
            weight_type=QuantType.QInt8,
            reduce_range=kind is QuantType.QUInt8,  # to STEPS_ON_CPUS
            extra_options={
                "ActivationSymmetric": kind is QuantType.QInt8,
                "TensorQuantOverrides": told,
            },
        )


def as_computed_in_half(model: ModelProto) -> None:
    """Make a graph of `to_half` give in fp32, in place, what fp16 gives.

    A CPU runs such a graph in fp32 and leaves out its casts; here every fp16 tensor is rounded to
    11 bits (Veltkamp's splitting) and overflows where fp16 does.
    """
    graph, nodes = model.graph, []
    constants = {"veltkamp": 2.0**13 + 1, "to_limit": 2.0**112, "from_limit": 2.0**-112}
    for node in list(graph.node):
        if node.op_type == "Cast" and node.output[0].endswith(HALF):
            nodes += _rounded(node.input[0], node.output[0])
        elif node.op_type == "Cast" and node.input[0].endswith(HALF):
            nodes.append(helper.make_node("Identity", node.input, node.output))
        else:
            halves = [name for name in node.output if name.endswith(HALF)]
            for i, name in enumerate(node.output):
                if name in halves:
                    node.output[i] = f"{name}.exact"
            nodes.append(node)
            for name in halves:
                nodes += _rounded(f"{name}.exact", name)
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    graph.initializer.extend(
        helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        for name, value in constants.items()
    )
    replace_nodes(graph, nodes)


def _rounded(source: str, target: str) -> list[NodeProto]:
    """Nodes that round fp32 to what fp16 holds, less its subnormal numbers."""
    wide, less, near, far = (f"{target}.{step}" for step in ("wide", "less", "near", "far"))
    return [
        helper.make_node("Mul", [source, "veltkamp"], [wide]),
        helper.make_node("Sub", [wide, source], [less]),
        helper.make_node("Sub", [wide, less], [near]),
        helper.make_node("Mul", [near, "to_limit"], [far]),
        helper.make_node("Mul", [far, "from_limit"], [target]),
    ]


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Images one by one, as the quantizer asks for them."""

    def __init__(self, images: np.ndarray) -> None:
        self._left: Iterator[np.ndarray] = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._left, None)
        return None if image is None else {IMAGE: image[np.newaxis]}


def classes_of(node: NodeProto) -> list[str]:
    """The classes of the modules that a node comes from, the gauge first."""
    told = {entry.key: entry.value for entry in node.metadata_props}.get(CLASSES)
    return literal_eval(told) if told else []


def _is_of_network(node: NodeProto) -> bool:
    classes = classes_of(node)
    return len(classes) >= LAYER_DEPTH and classes[1].startswith(NETWORKS)


def _is_relu6(node: NodeProto) -> bool:
    return node.op_type == "Clip" and classes_of(node)[-1].startswith(RELU6)


def _float_tensors(graph: GraphProto) -> set[str]:
    """Names of all fp32 tensors."""
    typed = [*graph.value_info, *graph.input, *graph.output]
    found = {v.name for v in typed if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    return found | {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}


def _half_of(weight: TensorProto, name: str) -> TensorProto:
    values = numpy_helper.to_array(weight).clip(-LARGEST_HALF, LARGEST_HALF)
    return numpy_helper.from_array(values.astype(np.float16), name)


def _cast(source: str, target: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=to)


@contextmanager
def _without_advice() -> Iterator[None]:
    """The quantizer advises to fold and infer first, which torch's exporter has done."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
