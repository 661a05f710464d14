from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from onegauge.service.model.contract import ANOMALY_MAP, SCALARS


@pytest.fixture(scope="module")
def session(graph):
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def test_the_names_types_and_shapes_are_the_contract(session):
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(uint8)", [128, 128, 3])
    assert not isinstance(image.shape[0], int)
    outputs = {o.name: (o.type, len(o.shape)) for o in session.get_outputs()}
    scalars = dict.fromkeys(SCALARS, ("tensor(float)", 1))
    assert outputs == scalars | {ANOMALY_MAP: ("tensor(float)", 3)}


def test_one_file_is_the_whole_model(graph):
    assert [path.name for path in graph.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(graph)
    onnx.checker.check_model(model)
    assert next(o.version for o in model.opset_import if not o.domain) >= 17


def test_paths_of_this_machine_stay_here(graph):
    assert str(Path(__file__).parents[2]).encode() not in graph.read_bytes()


def test_what_fp16_holds_exactly_is_stored_so(graph, gauge):
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(graph).graph.initializer}
    weight = gauge.backbone.network.stages[2][0].weight.numpy()  # the starter comes in fp16
    (half,) = (v for name, v in stored.items() if name.endswith("stages.2.0.weight.half"))
    assert half.dtype == np.float16
    assert np.array_equal(half, weight)
    projection = gauge.embedding.projection.numpy()  # not to be had in fp16
    assert any(v.dtype == np.float32 and np.array_equal(v, projection) for v in stored.values())


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_batch_reads_as_in_torch(session, gauge, images, size):
    batch = images[:size]
    with torch.inference_mode():
        expected = gauge(batch)._asdict()
    found = session.run(list(expected), {"image": batch.numpy()})
    for (name, tensor), array in zip(expected.items(), found, strict=True):
        assert array.shape == tuple(tensor.shape), name
        np.testing.assert_allclose(array, tensor.numpy(), atol=2e-3, rtol=1e-3, err_msg=name)
