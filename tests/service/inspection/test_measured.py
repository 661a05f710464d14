import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from onegauge.service.errors import BackendFailed
from onegauge.service.inspection.measured import MeasuredModelAtHand, measured
from onegauge.service.model.backends import Infer, Outputs
from onegauge.service.model.contract import Contract
from onegauge.service.observe.metrics import Metrics
from tests.service.fake_backend import FakeBackend, FakeModel

T = TypeVar("T")


def test_only_answered_batches_are_measured():
    backend, metrics = FakeBackend(), Metrics()
    images = np.zeros((2, 8, 8, 3), np.uint8)

    async def infer_twice() -> None:
        model = measured(await backend.load(await backend.served()), metrics)
        assert model.contract.version == "1"
        assert len((await model.infer(images, 1e9)).score) == 2
        backend.error = BackendFailed("broken")
        with pytest.raises(BackendFailed):
            await model.infer(images, 1e9)

    asyncio.run(infer_twice())
    found = metrics.exposition().decode()
    assert "onegauge_backend_batch_images_sum 2.0" in found
    assert "onegauge_backend_duration_seconds_count 1.0" in found


class FakeModelAtHand(FakeModel):
    """Lets a job wait for its thread."""

    wait_s = 0.2

    async def work(self, job: Callable[[Infer], T], _deadline: float) -> T:
        await asyncio.sleep(self.wait_s)
        zero = np.zeros(1, np.float32)
        return job(lambda *_: Outputs(*[zero] * 6, np.zeros((1, 2, 2), np.float32)))


def test_waiting_for_a_thread_counts_as_waiting_for_the_backend():
    metrics = Metrics()

    async def work() -> float:
        contract: Contract = await FakeBackend().served()
        model = measured(FakeModelAtHand(contract, FakeBackend()), metrics)
        assert isinstance(model, MeasuredModelAtHand)
        image = np.zeros((1, 8, 8, 3), np.uint8)
        return float(await model.work(lambda infer: infer(image).score[0], 1e9))

    assert asyncio.run(work()) == 0
    found = metrics.exposition().decode()
    assert "onegauge_backend_batch_images_sum 1.0" in found
    seconds = re.search(r"onegauge_backend_duration_seconds_sum ([\d.]+)", found)
    assert float(seconds[1]) >= FakeModelAtHand.wait_s
