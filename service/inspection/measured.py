"""A model whose batches are measured."""

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onegauge.service.model.backends import Infer, IsClear, Model, ModelAtHand, Outputs
from onegauge.service.model.contract import Contract
from onegauge.service.observe.metrics import Metrics

T = TypeVar("T")


def measured(model: Model, metrics: Metrics) -> "MeasuredModel":
    """The same model, with time and size of every batch in the metrics."""
    if isinstance(model, ModelAtHand):
        return MeasuredModelAtHand(model, metrics)
    return MeasuredModel(model, metrics)


class MeasuredModel:
    """Another model's answers."""

    def __init__(self, model: Model, metrics: Metrics) -> None:
        self.contract: Contract = model.contract
        self._model = model
        self._metrics = metrics

    async def infer(self, images: NDArray[np.uint8], deadline: float) -> Outputs:
        """Inspect a batch (B, H, W, 3)."""
        with self._metrics.batch(len(images)):
            return await self._model.infer(images, deadline)


class MeasuredModelAtHand(MeasuredModel):
    """Another model's answers and its threads."""

    def __init__(self, model: ModelAtHand, metrics: Metrics) -> None:
        super().__init__(model, metrics)
        self._at_hand = model

    async def work(self, job: Callable[[Infer], T], deadline: float) -> T:
        """Do a job in one of the threads; waiting for it counts as waiting for the backend."""
        asked = perf_counter()

        def in_thread(infer: Infer) -> T:
            waited = perf_counter() - asked

            def timed(images: NDArray[np.uint8], is_clear: IsClear | None = None) -> Outputs:
                def counted(seen: Outputs) -> bool:
                    clear = is_clear is None or is_clear(seen)
                    if not clear:
                        self._metrics.looked_again()
                    return clear

                with self._metrics.batch(len(images), waited):
                    return infer(images, counted if is_clear else None)

            return job(timed)

        return await self._at_hand.work(in_thread, deadline)
