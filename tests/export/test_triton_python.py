from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import tritonclient.grpc
from onnx import TensorProto, helper
from tritonclient.grpc.model_config_pb2 import (
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelOutput,
    ModelTensorReshape,
)
from tritonclient.utils import InferenceServerException

from rig.address import free_address
from rig.publishing import add_and_publish
from rig.tritonserver import tritonserver

pytestmark = pytest.mark.triton

OUTPUTS = ("score", "batch_size")
GATHERED_WITHIN_US = 1_000_000  # far longer than it takes to send a few requests


def lookup_graph(file: Path) -> Path:
    """Gives half the brightest value of each image, and how many images ran together.

    Fails where that value is 100 or above.
    """
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("halves", TensorProto.FLOAT, [100], np.arange(100) / 2),
    ]
    nodes = [
        helper.make_node("ReduceMax", ["image", "axes"], ["brightest"], keepdims=0),
        helper.make_node("Cast", ["brightest"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["halves", "index"], ["score"]),
        helper.make_node("Shape", ["score"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Expand", ["count", "shape"], ["batch_size"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 2, 2, 3])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]) for name in OUTPUTS
    ]
    graph = helper.make_graph(nodes, "lookup", [image], outputs, constants)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), file)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("triton")


@pytest.fixture(scope="module")
def triton(folder) -> Iterator[tritonclient.grpc.InferenceServerClient]:
    config = ModelConfig(
        name="lookup",
        backend="python",
        max_batch_size=4,
        input=[ModelInput(name="image", data_type="TYPE_UINT8", dims=[2, 2, 3])],
        output=[
            ModelOutput(name=name, data_type="TYPE_FP32", dims=[1], reshape=ModelTensorReshape())
            for name in OUTPUTS
        ],
        dynamic_batching=ModelDynamicBatching(max_queue_delay_microseconds=GATHERED_WITHIN_US),
    )
    add_and_publish(folder / "repository", config, lookup_graph(folder / "lookup.onnx"))
    address = free_address()
    with (
        tritonserver(folder / "repository", folder / "log", address),
        tritonclient.grpc.InferenceServerClient(address) as client,
    ):
        yield client


def images(*brightness: int) -> list[tritonclient.grpc.InferInput]:
    pixels = np.zeros((len(brightness), 2, 2, 3), np.uint8)
    pixels[:, 1, 0, 2] = brightness
    tensor = tritonclient.grpc.InferInput("image", pixels.shape, "UINT8")
    tensor.set_data_from_numpy(pixels)
    return [tensor]


def infer_together(
    client: tritonclient.grpc.InferenceServerClient, *requests: list[tritonclient.grpc.InferInput]
) -> list[dict[str, list[float]] | BaseException]:
    """The outputs of requests sent at the same time, or the exception that one raised."""
    with ThreadPoolExecutor(len(requests)) as threads:
        calls = [threads.submit(client.infer, "lookup", request) for request in requests]
    return [
        call.exception()
        or {name: call.result().as_numpy(name).ravel().tolist() for name in OUTPUTS}
        for call in calls
    ]


@pytest.mark.parametrize("brightness", [(10,), (10, 90, 30), (1, 2, 3, 4)])
def test_a_batch_has_one_score_per_image_in_order(triton, brightness):
    score = triton.infer("lookup", images(*brightness)).as_numpy("score")
    assert score.shape == (len(brightness), 1)
    assert score.ravel().tolist() == [value / 2 for value in brightness]


def test_more_images_than_the_model_takes_are_refused(triton):
    with pytest.raises(InferenceServerException, match="batch-size must be <= 4"):
        triton.infer("lookup", images(1, 2, 3, 4, 5))


def test_an_image_of_another_size_is_refused(triton):
    tensor = tritonclient.grpc.InferInput("image", (1, 2, 3, 3), "UINT8")
    tensor.set_data_from_numpy(np.zeros((1, 2, 3, 3), np.uint8))
    with pytest.raises(InferenceServerException, match="unexpected shape"):
        triton.infer("lookup", [tensor])


def test_concurrent_requests_become_one_run_and_each_gets_its_own_scores(triton):
    assert infer_together(triton, images(10), images(20, 30), images(40)) == [
        {"score": [5.0], "batch_size": [4.0]},
        {"score": [10.0, 15.0], "batch_size": [4.0, 4.0]},
        {"score": [20.0], "batch_size": [4.0]},
    ]


def test_a_request_gets_what_it_asks_for_whatever_is_batched_with_it(triton):
    wanted = [tritonclient.grpc.InferRequestedOutput("score")]
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(triton.infer, "lookup", images(10, 20, 30), outputs=wanted)
        all_of_it = threads.submit(triton.infer, "lookup", images(40))
    assert [tensor.name for tensor in one.result().get_response().outputs] == ["score"]
    assert one.result().as_numpy("score").ravel().tolist() == [5, 10, 15]
    assert all_of_it.result().as_numpy("score").ravel().tolist() == [20]
    assert all_of_it.result().as_numpy("batch_size").ravel().tolist() == [4]


def test_a_request_that_fails_does_not_fail_those_batched_with_it(triton):
    good, bad, other = infer_together(triton, images(10), images(200), images(20, 30))
    assert (good["score"], other["score"]) == ([5.0], [10.0, 15.0])
    assert isinstance(bad, InferenceServerException)
    assert "onnxruntime failed on 1 images" in str(bad)


def test_an_answer_leaves_nothing_in_the_log(triton, folder):
    log = folder / "log"
    before = len(log.read_text())
    for _ in range(3):
        triton.infer("lookup", images(1, 2, 3, 4))
    assert log.read_text()[before:] == ""
