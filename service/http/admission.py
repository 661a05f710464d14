"""What the gateway takes on at once: requests, inspections and bytes, each with a bound.

A request is admitted or refused by its header, before its body is read. While it uploads and
waits it holds a place and its bytes; the turn to be inspected comes only after the last byte, so
that a stalled client keeps nobody else from the model.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import inf
from time import perf_counter

from starlette.requests import Request

from onegauge.service.errors import DeadlineExceeded, GatewayBusy
from onegauge.service.http.disconnect import until_gone
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings

RETRY_AFTER_S = 1
REFUSALS_AT_ONCE = 100  # so that a balancer soon goes elsewhere
REFUSALS_A_SECOND = 50  # beyond those: who asks again at once asks less, the less the more ask
LONGEST_PAUSE_S = 2


class Admission:
    """Counts what is under way and refuses what would be too much."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._places = settings.max_in_flight + settings.max_waiting
        self._bytes = self._waiting = self._in_flight = 0
        self._next_refusal = 0.0  # in the event loop's time
        self._turns = asyncio.Semaphore(settings.max_in_flight)
        metrics.waiting.set_function(lambda: self._waiting)
        metrics.in_flight.set_function(lambda: self._in_flight)
        metrics.buffered.set_function(lambda: self._bytes)

    @asynccontextmanager
    async def visit(
        self, timeout_s: float | None, request: Request | None = None
    ) -> AsyncIterator["Visit"]:
        """One request from its header to its answer, within `timeout_s` and the settings' limit.

        Raises GatewayBusy when no place is free and DeadlineExceeded when the time is over.
        """
        if self._places == 0:
            await self._pause(request)
            raise _busy(
                f"{self._settings.max_in_flight} requests are inspected and "
                f"{self._settings.max_waiting} wait"
            )
        seconds = min(timeout_s or inf, self._settings.request_timeout_s)
        visit = Visit(self, asyncio.get_running_loop().time() + seconds)
        self._places -= 1
        try:
            async with asyncio.timeout_at(visit.deadline) as clock:
                yield visit
        except TimeoutError as exc:
            if not clock.expired():
                raise
            raise DeadlineExceeded(f"There was no answer within {seconds:g} s.") from exc
        finally:
            self._places += 1
            self.release(visit.size)

    async def _pause(self, request: Request | None) -> None:
        """Keep refusals apart: a flood of them would take the time of those who are inspected."""
        now = asyncio.get_running_loop().time()
        earliest = now - REFUSALS_AT_ONCE / REFUSALS_A_SECOND
        turn = min(max(earliest, self._next_refusal), now + LONGEST_PAUSE_S)
        self._next_refusal = turn + 1 / REFUSALS_A_SECOND
        if turn > now:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(turn):
                    await _nothing_more(request)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The right to be inspected, first come, first served."""
        start = perf_counter()
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        self._metrics.queued(perf_counter() - start)
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self._turns.release()

    def reserve(self, size: int) -> None:
        """Take `size` bytes of memory; raises GatewayBusy when so many are not left."""
        if self._bytes + size > self._settings.max_buffered_bytes:
            raise _busy(f"{self._bytes} bytes of other requests are held")
        self._bytes += size

    def release(self, size: int) -> None:
        """Give bytes back."""
        self._bytes -= size


class Visit:
    """An admitted request: its deadline in the event loop's time, and the bytes that it holds."""

    def __init__(self, admission: Admission, deadline: float) -> None:
        self.deadline = deadline
        self.size = 0
        self._admission = admission

    def hold(self, size: int) -> None:
        """Hold `size` bytes in all; raises GatewayBusy when so many are not left."""
        if size > self.size:
            self._admission.reserve(size - self.size)
            self.size = size


def _busy(why: str) -> GatewayBusy:
    return GatewayBusy(f"{why}; come back later.", retry_after=RETRY_AFTER_S)


async def _nothing_more(request: Request | None) -> None:
    """Keep nothing of a body that comes, and ask for none; returns when the client has gone."""
    if request is None or "expect" in request.headers:
        await asyncio.Event().wait()
    else:
        await until_gone(request)
