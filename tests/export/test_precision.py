from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from torch import Tensor, nn

from onegauge.export.precision import (
    CLASSES,
    NETWORKS,
    as_computed_in_half,
    network_nodes,
    to_half,
    to_int8,
    to_symmetric_int8,
)
from onegauge.training.gauge.gauge import Gauge

FEW = 2  # of the starter, its first layers, sum up fewer products than ENOUGH
SCALED = ("QuantizeLinear", "DequantizeLinear")
# Operators that onnx-tensorrt's table of operators says TensorRT's parser knows
TENSORRT = {
    *(
        "Add",
        "And",
        "ArgMin",
        "AveragePool",
        "Cast",
        "Clip",
        "Concat",
        "Conv",
        "ConvTranspose",
        "Div",
    ),
    *("DequantizeLinear", "Equal", "Erf", "Exp", "Expand", "Gather", "GatherElements", "GatherND"),
    *(
        "Gemm",
        "GreaterOrEqual",
        "LayerNormalization",
        "LessOrEqual",
        "MatMul",
        "Max",
        "MaxPool",
        "Min",
        "Mul",
    ),
    *("Neg", "Pad", "Pow", "QuantizeLinear", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("ReduceSum", "Relu", "Reshape"),
    *("Resize", "Shape", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "TopK"),
    *("Transpose", "Unsqueeze", "Where"),
}


def layers_of(gauge: Gauge) -> int:
    """The convolutions of the backbone, as the detector has no layers of its own."""
    return sum(isinstance(module, nn.Conv2d) for module in gauge.backbone.modules())


def half(traced: Path) -> onnx.ModelProto:
    model = onnx.load(traced)
    to_half(model)
    return model


def run(model: onnx.ModelProto | Path, images: np.ndarray) -> dict[str, np.ndarray]:
    content = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": images}), strict=True))


@pytest.fixture(scope="module")
def integers(traced: Path, images: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph in int8; a test must not change it."""
    file = tmp_path_factory.mktemp("integers") / "int8.onnx"
    to_int8(traced, file, images.numpy())
    return file


@pytest.fixture(scope="module")
def symmetric(traced: Path, images: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph in int8 for TensorRT; a test must not change it."""
    file = tmp_path_factory.mktemp("symmetric") / "int8.onnx"
    to_symmetric_int8(traced, file, images.numpy())
    return file


def convolutions_in_integers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    scaled = {n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    return [n for n in model.graph.node if n.op_type == "Conv" and n.input[0] in scaled]


def test_networks_are_the_layers_and_not_what_decides(traced, gauge):
    graph = onnx.load(traced).graph
    chosen = {node.name for node in network_nodes(graph)}
    convolutions = {node.name for node in graph.node if node.op_type == "Conv"}
    assert len(convolutions & chosen) == layers_of(gauge) < len(convolutions)
    assert not any(node.name in chosen for node in graph.node if node.op_type == "TopK")
    assert {node.op_type for node in graph.node if node.name in chosen} == {"Conv", "Clip", "Add"}


def test_only_networks_are_in_half_precision(traced):
    model = half(traced)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    types = {v.name: v.type.tensor_type.elem_type for v in inferred.value_info}
    halves = {name for name, kind in types.items() if kind == TensorProto.FLOAT16}
    kinds = {node.op_type for node in inferred.node if set(node.output) & halves}
    assert kinds - {"GatherND"} == {"Cast", "Conv", "Clip", "Add"}  # maps are kept in fp16 anyway
    weights = sum(t.data_type == TensorProto.FLOAT16 for t in model.graph.initializer)
    assert weights >= 10


def test_what_half_precision_gives_is_seen_on_a_cpu(traced, images):
    model = half(traced)
    as_computed_in_half(model)
    onnx.checker.check_model(model, full_check=True)
    exact, rounded = run(traced, images.numpy()), run(model, images.numpy())
    difference = np.abs(exact["raw_score"] - rounded["raw_score"])
    assert 0 < difference.max() < 0.01 * exact["raw_score"].max()


def test_overflow_of_half_precision_is_seen_on_a_cpu(traced, images):
    model = onnx.load(traced)
    *_, last = (node for node in network_nodes(model.graph) if node.op_type == "Conv")
    weight = next(t for t in model.graph.initializer if t.name == last.input[1])
    values = onnx.numpy_helper.to_array(weight) * np.float32(3e4)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    to_half(model)
    as_computed_in_half(model)
    assert not np.isfinite(run(model, images.numpy())["raw_score"]).all()


def test_integers_are_layers_after_the_first_and_not_what_decides(traced, integers, gauge, images):
    model = onnx.load(integers)
    onnx.checker.check_model(model, full_check=True)
    assert len(convolutions_in_integers(model)) == layers_of(gauge) - FEW
    assert integers.stat().st_size < traced.stat().st_size
    exact, found = run(traced, images.numpy()), run(integers, images.numpy())
    difference = np.abs(exact["raw_score"] - found["raw_score"]) / exact["raw_score"]
    assert 0 < difference.max() < 0.1


def plain_network(side: int, file: Path) -> Path:
    """Two convolutions of a backbone: one of side x side pixels, one of 72 values."""
    inside = ["gauge", NETWORKS[0], "layer", "aten.conv2d.default"]
    rng = np.random.default_rng(0)
    shapes = {"first": (8, 3, side, side), "second": (4, 8, 3, 3)}
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["pixels"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["pixels", "first"], ["between"], name="conv_first"),
        helper.make_node("Conv", ["between", "second"], ["out"], name="conv_second"),
    ]
    for node in nodes:
        node.metadata_props.add(key=CLASSES, value=repr(inside))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 16, 16, 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    weights = [
        onnx.numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    graph = helper.make_graph(nodes, "plain", [image], [out], weights)
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), file)
    return file


@pytest.mark.parametrize(("side", "layers"), [(3, 1), (7, 2)])
def test_a_first_layer_of_few_products_stays_in_fp32(tmp_path, side, layers):
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    to_int8(plain_network(side, tmp_path / "plain.onnx"), tmp_path / "int8.onnx", images)
    assert len(convolutions_in_integers(onnx.load(tmp_path / "int8.onnx"))) == layers


def test_integers_are_unsigned_times_signed_and_stay_so_from_layer_to_layer(integers):
    graph = onnx.load(integers).graph
    constants = {t.name: t.data_type for t in graph.initializer}
    given = {n.input[0]: n for n in graph.node if n.op_type == "DequantizeLinear"}
    kinds = {constants[n.input[2]] for n in given.values() if n.input[0] not in constants}
    assert kinds == {TensorProto.UINT8}
    weights = {constants[name] for name in given if name in constants}
    assert weights == {TensorProto.INT8, TensorProto.INT32}  # biases are sums
    values = (onnx.numpy_helper.to_array(t) for t in graph.initializer if t.name in given)
    # two products by these fit into 16 bits, as which processors without VNNI sum them
    assert max(np.abs(v.astype(int)).max() for v in values if v.dtype == np.int8) == 64
    kept = [node.op_type for node in network_nodes(graph)]
    assert kept.count("Clip") == FEW  # elsewhere zero points cut
    sums = [node for node in network_nodes(graph) if node.op_type == "Add"]
    scaled = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    assert sums
    assert all(name in scaled for node in sums for name in node.input)


def test_symmetric_integers_keep_the_first_layers_and_what_decides(
    traced, symmetric, gauge, images
):
    model = onnx.load(symmetric)
    assert len(convolutions_in_integers(model)) == layers_of(gauge) - FEW
    zeros = [t for t in model.graph.initializer if t.name.endswith("zero_point")]
    assert zeros
    assert not any(onnx.numpy_helper.to_array(zero).any() for zero in zeros)
    assert symmetric.stat().st_size < traced.stat().st_size
    found = run(symmetric, images.numpy())
    assert np.isfinite(found["score"]).all()


@pytest.mark.parametrize("form", ["integers", "symmetric"])
def test_integers_have_scales_by_channel(form, request):
    graph = onnx.load(request.getfixturevalue(form)).graph
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    scale = {n.output[0]: constants[n.input[1]] for n in graph.node if n.op_type in SCALED}
    layers = [n for n in graph.node if n.op_type == "Conv" and n.input[1] in scale]
    groups = {a.i for n in layers for a in n.attribute if a.name == "group"}
    assert max(groups) > min(groups) == 1  # depthwise ones, too
    assert all(scale[n.input[1]].size > 1 for n in layers)


def test_symmetric_integers_have_before_a_relu6_its_range(symmetric):
    graph = onnx.load(symmetric).graph
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    scale = {n.output[0]: constants[n.input[1]] for n in graph.node if n.op_type in SCALED}
    clipped = [n.input[0] for n in network_nodes(graph) if n.op_type == "Clip"]
    limits = [127 * float(scale[name]) for name in clipped if name in scale]
    assert len(limits) > 10
    assert limits == pytest.approx([6] * len(limits))


def test_operators_are_known_to_tensorrt(traced, symmetric):
    for model in (onnx.load(traced), half(traced), onnx.load(symmetric)):
        assert {node.op_type for node in model.graph.node} <= TENSORRT
        constants = {tensor.name for tensor in model.graph.initializer}
        assert all(n.input[1] in constants for n in model.graph.node if n.op_type == "TopK")
