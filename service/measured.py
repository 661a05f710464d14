"""A model whose batches are measured."""

import numpy as np
from numpy.typing import NDArray

from service.backends import Model, Outputs
from service.contract import Contract
from service.metrics import Metrics


class MeasuredModel:
    """Another model's answers, with time and size of every batch in the metrics."""

    def __init__(self, model: Model, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics

    @property
    def contract(self) -> Contract:
        """Of the model that is measured."""
        return self._model.contract

    async def infer(self, images: NDArray[np.uint8], deadline: float) -> Outputs:
        """Inspect a batch (B, H, W, 3)."""
        with self._metrics.batch(len(images)):
            return await self._model.infer(images, deadline)
