"""Another version of the model beside the one that answers: what it would have decided."""

import asyncio
import random

import numpy as np
from numpy.typing import NDArray

from service.backends import Model, Outputs, infer_all
from service.decision import Criterion, decimal
from service.errors import BackendError
from service.metrics import Metrics

TIMEOUT_S = 10.0


class Shadow:
    """Runs a share of requests through another version, one at a time, and counts agreement.

    No answer waits for it: a request that finds it busy is left out.
    """

    def __init__(self, share: float, metrics: Metrics) -> None:
        self._share = share
        self._metrics = metrics
        self._task: asyncio.Task[None] | None = None

    def compare(
        self, model: Model, batch: NDArray[np.uint8], answered: Outputs, criterion: Criterion
    ) -> None:
        """Perhaps inspect a batch (B, H, W, 3) again, after it has been `answered`."""
        fits = batch.shape[1:3] == (model.contract.height, model.contract.width)
        if not fits or random.random() >= self._share:
            return
        if self._task and not self._task.done():
            self._metrics.shadow_skipped()
            return
        self._task = asyncio.create_task(self._compare(model, batch, answered, criterion))

    async def _compare(
        self, model: Model, batch: NDArray[np.uint8], answered: Outputs, criterion: Criterion
    ) -> None:
        deadline = asyncio.get_running_loop().time() + TIMEOUT_S
        try:
            outputs = await infer_all(model, batch, deadline)
        except BackendError:
            self._metrics.shadow_skipped()
            return
        for i in range(len(batch)):
            said, says = (
                criterion.judge(decimal(found.score[i]), decimal(found.p_value[i]))
                for found in (answered, outputs)
            )
            difference = float(outputs.score[i] - answered.score[i])
            self._metrics.shadowed(agreed=said == says, difference=difference)
