"""Requests → answers by the version that is served, counted, and compared with a shadow's."""

from collections.abc import Sequence
from datetime import UTC, datetime

from onegauge.library.library import Library
from onegauge.schemas import Answer, Decision
from onegauge.service.errors import BackendFailed, BackendUnavailable
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.inspection.explainer import Explainer
from onegauge.service.inspection.inquiry import Inquiry
from onegauge.service.inspection.inspection import Inspection
from onegauge.service.inspection.parts import DecidedPart, Parts
from onegauge.service.inspection.shadow import Shadow
from onegauge.service.inspection.taken import Taken, Taker
from onegauge.service.inspection.versions import Versions
from onegauge.service.model.contract import Contract
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads


class Inspector:
    """Answers for images by the model version that is served; `takers` are told of each."""

    def __init__(
        self,
        settings: Settings,
        deployment: Deployment,
        versions: Versions,
        metrics: Metrics,
        threads: Threads,
        takers: Sequence[Taker],
    ) -> None:
        self._versions = versions
        self._metrics = metrics
        self._takers = takers
        self._inspection = Inspection(settings, deployment, metrics, threads)
        self._shadow = Shadow(settings, deployment, metrics)
        self._parts = Parts(settings.part_timeout_s, metrics, self._tell_part)

    async def inspect(self, inquiry: Inquiry) -> Answer:
        """Inspect images; one that cannot be read gets its problem in its place.

        One version answers for all of them. Raises InvalidOption and BackendError.
        """
        model = self._versions.current()
        try:
            answer = await self._inspection.answer(inquiry, model)
        except (BackendFailed, BackendUnavailable):
            # The version may have been replaced under the request: then it begins again.
            await self._versions.refresh()
            if self._versions.current() is model:
                raise
            model = self._versions.current()
            answer = await self._inspection.answer(inquiry, model)
        for result in answer.results:
            self._metrics.answered(result, inquiry.options.line, masked=inquiry.mask is not None)
        if self._takers:
            self._tell(inquiry, answer, model.contract)
        answer.part = self._parts.take(inquiry, answer)
        if self._versions.shadow:
            self._shadow.compare(self._versions.shadow, inquiry, answer)
        return answer

    async def explain(self, inquiry: Inquiry) -> Answer:
        """Look at images once more, by the version that is served now; nothing is counted.

        Raises InvalidOption and BackendError.
        """
        return await self._inspection.answer(inquiry, self._versions.current())

    async def explainer(self) -> Explainer:
        """What explains the answers of the version that is served; raises as `explain`."""
        return await self._inspection.explainer(self._versions.current())

    async def library(self) -> Library:
        """The normal images of the version that is served; raises as `explain`."""
        return await self._inspection.library(self._versions.current())

    def agreement(self, version: str) -> tuple[int, int]:
        """How many images a shadow version has decided as we did, and how many otherwise."""
        agreed = self._shadow.agreed
        return agreed[version, True], agreed[version, False]

    def _tell(self, inquiry: Inquiry, answer: Answer, contract: Contract) -> None:
        """Tell the takers of each decision, which gets its id."""
        now = datetime.now(UTC)
        for upload, result in zip(inquiry.uploads, answer.results, strict=True):
            if isinstance(result, Decision):
                taken = Taken.of(inquiry, upload, result, contract, now)
                result.inspection = taken.record.id
                for taker in self._takers:
                    taker.take(taken, upload)

    def _tell_part(self, part: DecidedPart) -> None:
        for taker in self._takers:
            taker.take_part(part)

    async def stop(self) -> None:
        """Give up what goes on after the answers, and tell of parts whose views are not all in."""
        self._parts.stop()
        await self._shadow.stop()
