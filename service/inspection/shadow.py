"""Another version of the model beside the one that answers: what it would have decided."""

import asyncio
import random
from collections import Counter
from functools import partial

from onegauge.schemas import Answer, Decision, Rejection
from onegauge.service.errors import Problem
from onegauge.service.inspection.background import Background
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.inspection.inquiry import Inquiry
from onegauge.service.inspection.inspection import Inspection
from onegauge.service.model.model import Model
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads

TIMEOUT_S = 10.0  # for an image


class Shadow:
    """Has another version answer a share of the requests, too, and counts agreement.

    It goes their whole way, with pictures of its own size, image by image. No answer waits for it:
    a request that finds it busy is left out. What it takes is in no other metrics.
    """

    def __init__(self, settings: Settings, deployment: Deployment, metrics: Metrics) -> None:
        self._share = settings.shadow_share
        self._metrics = metrics
        self._task = Background("shadow", metrics)
        self._inspection = Inspection(settings, deployment, Metrics(), Threads(1))
        self.agreed = Counter[tuple[str, bool]]()  # by the shadow's version: whether it agreed

    def compare(self, model: Model, inquiry: Inquiry, answer: Answer) -> None:
        """Perhaps inspect the images again, after they have been answered for."""
        if random.random() >= self._share:
            return
        if self._task.busy:
            self._metrics.model.shadow_skipped()
        else:
            self._task.begin(partial(self._compare, model, inquiry, answer))

    async def stop(self) -> None:
        """Give up what goes on."""
        await self._task.stop()

    async def _compare(self, model: Model, inquiry: Inquiry, answer: Answer) -> None:
        less = {"map": "none", "contours": False, "explain": False}
        options = inquiry.options.model_copy(update=less)
        now = asyncio.get_running_loop().time
        for upload, said in zip(inquiry.uploads, answer.results, strict=True):
            if isinstance(said, Rejection):
                continue
            alone = Inquiry([upload], options, {}, now() + TIMEOUT_S, mask=inquiry.mask)
            try:
                (says,) = (await self._inspection.answer(alone, model)).results
            except Problem:
                self._metrics.model.shadow_skipped()
                return
            if isinstance(says, Decision):
                agreed = said.decision == says.decision
                self.agreed[model.contract.version, agreed] += 1
                self._metrics.model.shadowed(agreed=agreed, difference=says.score - said.score)
            else:
                self._metrics.model.shadow_skipped()
