import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onegauge.export.precision import STEPS_ON_CPUS, network_nodes, to_int8
from onegauge.export.rounding import round_weights, rounded_by

STEPS = 127
RNG = np.random.default_rng(0)


def alike(rows: int, inputs: int) -> np.ndarray:
    """What a filter sees (R, K): pixels beside each other are much alike."""
    return 1 + RNG.normal(size=(rows, 1)) + 0.05 * RNG.normal(size=(rows, inputs))


def convolutions(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in network_nodes(model.graph) if node.op_type == "Conv"]


def weight_of(model: onnx.ModelProto, node: onnx.NodeProto) -> np.ndarray:
    return next(
        numpy_helper.to_array(t) for t in model.graph.initializer if t.name == node.input[1]
    )


def grouped(groups: int, pads: list[int]) -> onnx.ModelProto:
    """A convolution with a filter of 3 x 3 of the pixels of images of 8 x 8."""
    weights = RNG.normal(size=(6, 3 // groups, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["pixels"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["pixels", "w", "b"], ["out"], group=groups, pads=pads),
    ]
    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["B", 8, 8, 3])
    out = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)
    constants = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(np.ones(6, np.float32), "b"),
    ]
    graph = helper.make_graph(nodes, "grouped", [image], [out], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def given(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["out"], {"image": images})[0]


def test_weights_are_whole_steps_and_make_up_for_each_other():
    weights, seen = RNG.normal(size=(1, 8, 9)), alike(500, 9)
    largest = np.abs(weights).max(2, keepdims=True)
    steps = largest / STEPS
    rounded = rounded_by(weights, largest, STEPS, (seen.T @ seen)[None])
    whole = rounded / steps
    np.testing.assert_allclose(whole, whole.round(), atol=1e-9)
    assert np.abs(whole).max() <= STEPS + 1e-9
    nearest = (weights / steps).round() * steps
    error, plain = (np.abs((w - weights)[0] @ seen.T).mean() for w in (rounded, nearest))
    assert error < 0.4 * plain


def test_weights_of_what_is_never_seen_are_rounded_to_the_nearest_step():
    weights, steps = RNG.normal(size=(2, 3, 4)), np.full((2, 3, 1), 0.05)
    rounded = rounded_by(weights, STEPS * steps, STEPS, np.zeros((2, 4, 4)))
    np.testing.assert_allclose(rounded, (weights / steps).round() * steps)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [0, 1, 2, 1]])
def test_layers_give_nearly_what_they_gave_and_the_same_on_average(groups, pads):
    model = grouped(groups, pads)
    base = RNG.integers(50, 200, (16, 1, 1, 3)) + RNG.integers(-5, 6, (16, 8, 8, 3))
    images = base.astype(np.uint8)
    before, weights = given(model, images), weight_of(model, model.graph.node[2])
    largest = round_weights(model, [model.graph.node[2]], images, STEPS)
    after = given(model, images)
    error = np.sqrt(((after - before) ** 2).mean((0, 2, 3)))
    steps = np.abs(weights).max((1, 2, 3)) / STEPS
    np.testing.assert_allclose(largest["w"], STEPS * steps, rtol=1e-6)
    taps = weights[0].size
    assert (error < 0.2 * steps * taps * 120).all()
    assert np.abs((after - before).mean((0, 2, 3))).max() < 0.2 * error.max() + 0.3


def test_the_quantizer_takes_the_steps_that_weights_were_rounded_to(traced, images, tmp_path):
    model = onnx.load(traced)
    to_int8(traced, tmp_path / "int8.onnx", images.numpy())
    smaller = onnx.load(tmp_path / "int8.onnx")
    constants = {t.name: numpy_helper.to_array(t) for t in smaller.graph.initializer}
    reached = []
    for node in convolutions(model):
        name = node.input[1]
        if f"{name}_quantized" not in constants:
            continue
        scale = constants[f"{name}_scale"].ravel()  # larger only where a bias would not fit
        weights = np.abs(weight_of(model, node)).reshape(len(scale), -1).max(1)
        told = np.isclose(scale, weights / STEPS_ON_CPUS, rtol=1e-5)
        assert (scale[~told] > weights[~told] / STEPS_ON_CPUS).all()
        steps = np.abs(constants[f"{name}_quantized"].astype(int)).reshape(len(scale), -1).max(1)
        reached += steps[told].tolist()
    assert len(reached) > 1000
    assert (
        min(reached) < STEPS_ON_CPUS
    )  # a scale of its own would stretch the weights of such a channel
