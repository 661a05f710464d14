import asyncio
import sys

import numpy as np
import pytest

from onegauge.service.errors import BackendFailed, BackendUnavailable
from onegauge.service.model.backends import OUTPUTS, Outputs, infer_all, load_backend
from onegauge.service.model.backends.triton import TritonBackend
from onegauge.service.model.contract import SCALARS, Contract
from onegauge.service.settings import Settings


def tensors(batch_size: int, **changed: np.ndarray) -> dict[str, np.ndarray]:
    made = {name: np.zeros((batch_size, 1), np.float32) for name in SCALARS}
    return made | {"anomaly_map": np.zeros((batch_size, 2, 3), np.float32)} | changed


class CountingModel:
    """Scores an image with its first value and notes the batch sizes."""

    def __init__(self) -> None:
        self.contract = Contract("counting", "1", 1, 1, 2, 3, 4, "onnxruntime", {})
        self.batches: list[int] = []

    async def infer(self, images: np.ndarray, deadline: float) -> Outputs:
        assert deadline == 7
        self.batches.append(len(images))
        score = images[:, 0, 0, 0].astype(np.float32)
        return Outputs.from_tensors(tensors(len(images), score=score), len(images))


def test_scalars_are_flat_with_or_without_tritons_extra_dimension():
    for score in (np.ones(2, np.float32), np.ones((2, 1), np.float32)):
        outputs = Outputs.from_tensors(tensors(2, score=score), 2)
        assert outputs.score.shape == outputs.novelty.shape == (2,)
        assert outputs.anomaly_map.shape == (2, 2, 3)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_fail_instead_of_passing_as_normal(name, value):
    spoilt = tensors(2)
    spoilt[name].flat[-1] = value
    with pytest.raises(BackendFailed, match=name):
        Outputs.from_tensors(spoilt, 2)


def test_answer_for_another_number_of_images_fails():
    with pytest.raises(BackendFailed, match="2 images"):
        Outputs.from_tensors(tensors(3), 2)


@pytest.mark.parametrize(("images", "batches"), [(1, [1]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1])])
def test_many_images_are_split_into_batches_in_order(images, batches):
    model = CountingModel()
    pixels = np.arange(images, dtype=np.uint8).reshape(-1, 1, 1, 1)
    outputs = asyncio.run(infer_all(model, pixels, deadline=7))
    assert model.batches == batches
    np.testing.assert_array_equal(outputs.score, np.arange(images))


def test_triton_is_chosen_by_the_settings():
    assert isinstance(load_backend(Settings(backend="triton")), TritonBackend)


@pytest.mark.parametrize(
    ("backend", "package", "extra"),
    [("onnx", "onnxruntime", "cpu"), ("openvino", "openvino", "openvino")],
)
def test_library_that_is_not_installed_is_named_with_its_extra(
    monkeypatch, backend, package, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"onegauge.service.model.backends.{backend}", raising=False)
    with pytest.raises(BackendUnavailable, match=rf"{package}, .*'onegauge\[{extra}\]'"):
        load_backend(Settings(backend=backend))
