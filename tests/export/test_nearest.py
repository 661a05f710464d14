from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from torch import Tensor

from onegauge.export.graph import leaving_out
from onegauge.export.nearest import TO_NEIGHBOURS, nearest_in_integers


def session(model: bytes, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
        options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def in_integers(file: Path) -> onnx.ModelProto:
    model = onnx.load(file)
    nearest_in_integers(model)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope="module", params=["gallery", "patchcore"])
def graph(request: pytest.FixtureRequest, images: Tensor) -> tuple[Path, np.ndarray]:
    """A graph of either detector, and images for it."""
    if request.param == "gallery":
        return request.getfixturevalue("traced"), images.numpy()
    repository: Path = request.getfixturevalue("patchcore_repository")
    smaller = np.ascontiguousarray(images[:, ::2, ::2].numpy())
    return repository / "onegauge" / "1" / "model.onnx", smaller


def test_distances_are_those_of_fp32_in_batches_and_alone(graph):
    file, images = graph
    exact, whole = (session(m.SerializeToString()) for m in (onnx.load(file), in_integers(file)))
    expected = exact.run(["raw_score"], {"image": images})[0]
    together = whole.run(["raw_score"], {"image": images})[0]
    alone = [whole.run(["raw_score"], {"image": image[None]})[0][0] for image in images]
    assert 0 < np.abs(together / expected - 1).max() < 0.04
    assert abs(np.mean(together / expected) - 1) < 0.01
    assert together.tolist() == pytest.approx(alone, rel=1e-5)


def test_memories_of_own_groups_are_left_out_as_in_fp32(graph, tmp_path):
    file, images = graph
    onnx.save(in_integers(file), tmp_path / "integers.onnx")
    found = []
    for model in (file, tmp_path / "integers.onnx"):
        asked = session(leaving_out(model))
        found += [
            asked.run(["raw_score"], {"image": images, "own": np.array([own])})[0]
            for own in ((-1, -1), (0, 20))
        ]
    known, left, known_by_integers, left_by_integers = found
    assert (left > 1.1 * known).any()
    assert known_by_integers == pytest.approx(known, rel=0.04)
    assert left_by_integers == pytest.approx(left, rel=0.04)


def test_the_product_is_one_of_integers_by_standard_operators(graph):
    model = in_integers(graph[0])
    assert {node.domain for node in model.graph.node} == {""}
    assert [node.op_type for node in model.graph.node].count("MatMulInteger") == 1
    lowest = {name for n in model.graph.node if n.op_type == "ReduceMin" for name in n.input}
    floats = {name for n in model.graph.node if n.op_type == "MatMul" for name in n.output}
    assert not lowest & floats


def test_onnx_runtime_weighs_the_product_of_a_gallery_while_it_computes_it(traced, tmp_path):
    session(in_integers(traced).SerializeToString(), tmp_path / "optimized.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert "MatMulIntegerToFloat" in kinds
    assert "MatMulInteger" not in kinds


def factors(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What the product of integers multiplies."""
    product = next(node for node in model.graph.node if node.op_type == "MatMulInteger")
    names = product.input[:2]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return session(model.SerializeToString()).run([*names], inputs)


def two_products(asking: np.ndarray, answering: np.ndarray) -> int:
    """The most that two products beside each other may sum up to."""
    columns = asking.shape[-1]
    most = asking.reshape(-1, columns).max(0).astype(int)
    kept = np.moveaxis(answering.astype(int), -2, -1).reshape(-1, columns)
    products = most * np.abs(kept).max(0)
    return int((products[::2] + np.pad(products[1::2], (0, columns % 2))).max())


def of_neighbours(axes: int) -> onnx.ModelProto:
    graph = onnx.parser.parse_graph(TO_NEIGHBOURS)
    numbers = {"flat": np.array([0, -1, axes + 10]), "noise": np.float32(axes / 3)}
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in numbers.items())
    opsets = [onnx.helper.make_opsetid("", 20)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)


def neighbours(points: np.ndarray, memories: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Squared distances (B, P) of points (B, P, A) to memories (B, k, M, A)."""
    inputs = {"points": points, "memories": memories, "usual": usual}
    model = of_neighbours(memories.shape[3])
    return session(model.SerializeToString()).run(None, inputs)[0]


def test_two_products_fit_into_16_bits_as_processors_without_vnni_sum_them(graph):
    file, images = graph
    assert two_products(*factors(in_integers(file), {"image": images})) < 2**15


@pytest.mark.parametrize("axes", [63, 64])
def test_two_products_fit_into_16_bits_however_far_a_patch_is(axes):
    rng = np.random.default_rng(0)
    spread = np.linspace(0, 200, 400)[None, :, None]
    inputs = {
        "points": rng.normal(0, spread, (1, 400, axes)).astype(np.float32),
        "memories": rng.normal(0, spread, (1, 400, axes)).clip(-127, 127).astype(np.int8)[:, None],
        "usual": np.ones((1, 1, 400), np.float16),
    }
    assert two_products(*factors(of_neighbours(axes), inputs)) < 2**15


@pytest.mark.parametrize("spread", [3, 20, 30])
def test_distances_of_patches_are_right_on_average_however_long_they_are(spread):
    rng = np.random.default_rng(0)
    points = rng.normal(0, spread, (2, 500, 64)).clip(-127, 127).astype(np.float32)
    memories = rng.normal(0, spread, (2, 4, 8, 64)).clip(-127, 127).astype(np.int8)
    usual = rng.uniform(2, 3, (2, 4, 8)).astype(np.float16)
    apart = points[:, :, None].astype(float) - memories.reshape(2, 1, 32, 64)
    expected = ((apart**2).sum(3) / usual.reshape(2, 1, 32).astype(float) ** 2).min(2)
    difference = neighbours(points, memories, usual) / expected - 1
    assert np.abs(difference).max() < 0.5 / spread
    assert abs(difference.mean()) < 0.02 / spread


def test_what_is_beyond_all_columns_is_far_and_nothing_near_it():
    memories = np.zeros((1, 1, 2, 64), np.int8)
    memories[0, 0, 1] = 127  # whose square no column holds
    usual = np.ones((1, 1, 2), np.float16)
    points = np.stack([np.zeros(64), np.full(64, 127.0), np.full(64, 5000.0)])[None]
    found = neighbours(points.astype(np.float32), memories, usual)[0]
    assert abs(found[0]) < 30
    assert (found[1:] > 300**2).all()
