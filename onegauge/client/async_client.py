"""The client for one event loop, as `Client` is for threads."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Self, TypeVar, cast

import httpx
from pydantic import BaseModel

from onegauge.client.calls import (
    RETRIES,
    TIMEOUT_S,
    Calls,
    Found,
    Image,
    Steps,
    time_left,
)
from onegauge.schemas import (
    Answer,
    CriterionCard,
    InspectedPage,
    Inspection,
    ModelCard,
    NextState,
    Opinion,
    Options,
    Proposal,
    ProposalList,
    Readiness,
    Search,
    SinkList,
    SinkState,
)

A = TypeVar("A", bound=BaseModel)
_DEFAULT, _ALL = Options(), Search()


class AsyncClient:
    """A gateway, asked from one event loop; the options are those of `Client`."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._calls = Calls(url, api_key, timeout_s, retries)
        way = transport or self._calls.way(httpx.AsyncHTTPTransport)
        self._http = httpx.AsyncClient(transport=way)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def inspect(
        self,
        images: Sequence[Image],
        options: Options = _DEFAULT,
        mask: bytes | None = None,
    ) -> Answer:
        """As Client.inspect."""
        return await self._run(self._calls.inspect(images, options, mask))

    async def inspections(self, search: Search = _ALL) -> InspectedPage:
        """As Client.inspections."""
        return await self._run(self._calls.inspections(search))

    async def inspection(self, inspection: str) -> Inspection:
        """As Client.inspection."""
        return await self._run(self._calls.inspection(inspection))

    async def judge(
        self,
        inspection: str,
        verdict: Opinion | None,
        *,
        by: str | None = None,
        note: str | None = None,
        whole_part: bool = False,
    ) -> Inspection:
        """As Client.judge."""
        return await self._run(self._calls.judge(inspection, verdict, by, note, whole_part))

    async def model(self) -> ModelCard:
        """As Client.model."""
        return await self._run(self._calls.call(ModelCard, "GET", "/v1/model"))

    async def criterion(self) -> CriterionCard:
        """As Client.criterion."""
        return await self._run(self._calls.call(CriterionCard, "GET", "/v1/criterion"))

    async def save_criterion(
        self,
        *,
        threshold: float | None = None,
        max_false_alarm_rate: float | None = None,
        by: str | None = None,
        note: str | None = None,
    ) -> CriterionCard:
        """As Client.save_criterion."""
        return await self._run(
            self._calls.save_criterion(threshold, max_false_alarm_rate, by, note)
        )

    async def proposals(self) -> ProposalList:
        """As Client.proposals."""
        return await self._run(self._calls.call(ProposalList, "GET", "/v1/proposals"))

    async def proposal(self, number: int) -> Proposal:
        """As Client.proposal."""
        return await self._run(self._calls.call(Proposal, "GET", f"/v1/proposals/{number}"))

    async def propose(self, *, remove: Sequence[str] = (), by: str | None = None) -> Proposal:
        """As Client.propose."""
        return await self._run(self._calls.propose(remove, by))

    async def take_step(self, number: int, state: NextState, *, by: str | None = None) -> Proposal:
        """As Client.take_step."""
        return await self._run(self._calls.take_step(number, state, by))

    async def sinks(self) -> SinkList:
        """As Client.sinks."""
        return await self._run(self._calls.call(SinkList, "GET", "/v1/sinks"))

    async def switch_sink(self, name: str, *, enabled: bool) -> SinkState:
        """As Client.switch_sink."""
        return await self._run(self._calls.switch_sink(name, enabled))

    async def ready(self) -> Readiness:
        """As Client.ready."""
        return await self._run(self._calls.call(Readiness, "GET", "/readyz"))

    async def _run(self, steps: Steps[A]) -> A:
        found: Found = None
        try:
            while True:
                step = steps.send(found)
                found = None
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    found = await self._send(step)
        except StopIteration as end:
            return cast(A, end.value)

    async def _send(self, request: httpx.Request) -> httpx.Response | httpx.RequestError:
        try:
            response = await self._http.send(request, stream=True)
            async with aclosing(response), asyncio.timeout(time_left(request)):
                await response.aread()
            return response
        except httpx.RequestError as exc:
            return exc
        except TimeoutError:
            return httpx.ReadTimeout("the answer did not end in time", request=request)
