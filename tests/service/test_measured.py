import asyncio

import numpy as np
import pytest

from service.errors import BackendFailed
from service.measured import MeasuredModel
from service.metrics import Metrics
from tests.service.fake_backend import FakeBackend


def test_only_answered_batches_are_measured():
    backend, metrics = FakeBackend(), Metrics()
    images = np.zeros((2, 8, 8, 3), np.uint8)

    async def infer_twice() -> None:
        model = MeasuredModel(await backend.load(await backend.served()), metrics)
        assert model.contract.version == "1"
        assert len((await model.infer(images, 1e9)).score) == 2
        backend.error = BackendFailed("broken")
        with pytest.raises(BackendFailed):
            await model.infer(images, 1e9)

    asyncio.run(infer_twice())
    found = metrics.exposition().decode()
    assert "onegauge_backend_batch_images_sum 2.0" in found
    assert "onegauge_backend_duration_seconds_count 1.0" in found
