"""Operations of a graph: as many as can be counted by hand, and as torch counts."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.support.devices import Torch
from bench.support.operations import operations


def test_convolutions_and_products_of_one_image_are_counted(tmp_path):
    """8 maps of 3 x 3 x 2 over 6 x 6 places, then a product of 8 x 36 with 36 x 5."""
    weights = {
        "kernel": np.zeros((8, 2, 3, 3), np.float32),
        "shape": np.array([0, 8, 36]),
        "matrix": np.zeros((36, 5), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["maps"], "conv", kernel_shape=[3, 3]),
        helper.make_node("Relu", ["maps"], ["positive"], "relu"),
        helper.make_node("Reshape", ["positive", "shape"], ["rows"], "reshape"),
        helper.make_node("MatMul", ["rows", "matrix"], ["out"], "product"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2, 8, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 8, 5])
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "two", [image], [out], constants)
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), file)
    assert operations(file) == {"conv": 2 * 8 * 36 * 18, "product": 2 * 8 * 5 * 36}


def test_a_gauge_has_as_many_as_its_run(trained_run, trained_repository):
    graph = sum(operations(trained_repository / "onegauge" / "1" / "model.onnx").values())
    assert graph == pytest.approx(Torch(trained_run).operations, rel=0.01)
