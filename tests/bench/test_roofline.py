from bench import roofline
from bench.roofline import Layer, measured
from bench.support.operations import operations
from bench.support.servers import Served


def test_a_layer_has_the_operations_and_bytes_of_its_shapes():
    told = {
        "op_name": "Conv",
        "input_type_shape": [{"float": [1, 3, 8, 8]}, {"float": [4, 3, 3, 3]}, {"float": [4]}],
        "output_type_shape": [{"float": [1, 4, 8, 8]}],
    }
    layer = Layer.of(told, 0.5)
    assert layer.operations == 2 * 4 * 8 * 8 * 3 * 3 * 3
    assert layer.bytes == 4 * (3 * 8 * 8 + 4 * 3 * 3 * 3 + 4 + 4 * 8 * 8)
    product = {"op_name": "MatMul", "output_type_shape": [{"float": [2, 5]}]}
    layer = Layer.of(product | {"input_type_shape": [{"float": [2, 7]}]}, 0.5)
    assert (layer.operations, layer.bytes) == (2 * 2 * 5 * 7, 4 * (2 * 7 + 7 * 5 + 2 * 5))


def test_products_of_a_graph_are_those_that_its_nodes_ask_for(monkeypatch):
    monkeypatch.setattr(roofline, "RUNS", 5)
    layers, seconds = measured(Served().file)
    asked = sum(operations(Served().file).values())
    assert asked <= sum(layer.operations for layer in layers) < 1.1 * asked  # some are padded
    assert 0 < sum(layer.seconds for layer in layers) < seconds
