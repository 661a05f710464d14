from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from onegauge.export.graph import leaving_out
from onegauge.export.held_out import HeldOut
from onegauge.service.model.contract import ANOMALY_MAP, EXPLAINING, SCALARS
from onegauge.training.checkpoint import load


@pytest.fixture(scope="module")
def session(traced):
    return onnxruntime.InferenceSession(traced, providers=["CPUExecutionProvider"])


def test_the_names_types_and_shapes_are_the_contract(session):
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(uint8)", [128, 128, 3])
    assert not isinstance(image.shape[0], int)
    outputs = {o.name: (o.type, len(o.shape)) for o in session.get_outputs()}
    scalars = dict.fromkeys(SCALARS, ("tensor(float)", 1))
    explaining = ("tensor(int32)", 2), ("tensor(float)", 2), ("tensor(float)", 4)
    expected = scalars | {ANOMALY_MAP: ("tensor(float)", 3)}
    assert outputs == expected | dict(zip(EXPLAINING, explaining, strict=True))


def test_one_file_is_the_whole_model(traced):
    assert [path.name for path in traced.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(traced)
    onnx.checker.check_model(model)
    assert next(o.version for o in model.opset_import if not o.domain) >= 17


def test_paths_of_this_machine_stay_here(traced):
    assert str(Path(__file__).parents[2]).encode() not in traced.read_bytes()


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_batch_reads_as_in_torch(session, gauge, images, size):
    batch = images[:size]
    with torch.inference_mode():
        expected = gauge(batch)._asdict()
    found = session.run(list(expected), {"image": batch.numpy()})
    for (name, tensor), array in zip(expected.items(), found, strict=True):
        assert array.shape == tuple(tensor.shape), name
        np.testing.assert_allclose(array, tensor.numpy(), atol=2e-3, rtol=1e-3, err_msg=name)


def test_copy_of_a_graph_finds_no_image_among_what_it_knows(traced, gauge, trained_run):
    """A reference is asked about with its own group left out, as torch does it."""
    session = onnxruntime.InferenceSession(leaving_out(traced), providers=["CPUExecutionProvider"])
    held_out = HeldOut.of(load(trained_run), None)
    for tiles, group in zip(islice(held_out.pictures(), 3), held_out.own[:3], strict=True):
        image, own = torch.from_numpy(tiles), torch.tensor([group])
        with torch.inference_mode():
            expected, itself = gauge(image, own)._asdict(), gauge(image)
        found = session.run(list(expected), {"image": tiles, "own": own.numpy()})
        for (name, tensor), array in zip(expected.items(), found, strict=True):
            np.testing.assert_allclose(array, tensor.numpy(), atol=2e-3, rtol=1e-3, err_msg=name)
        assert itself.score < expected["score"] - 0.5
        assert itself.novelty < expected["novelty"]
