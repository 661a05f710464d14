"""Work beside the requests, which no error ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context

from onegauge.service.observe.metrics import Metrics

MAX_PAUSE_S = 30.0  # between attempts that fail one after the other

_log = logging.getLogger("onegauge.background")
Work = Callable[[], Awaitable[None]]


class Background:
    """One task at a time, by a name; what it raises is logged and counted."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._name = name
        self._failed = metrics.background_failures.labels(name)
        self._told: str | None = None  # what the last attempt raised
        self._task: asyncio.Task[object] | None = None

    @property
    def busy(self) -> bool:
        """Whether what was begun last goes on."""
        return self._task is not None and not self._task.done()

    def begin(self, work: Work) -> None:
        """Do it once; ask first whether the task is busy."""
        # in a context of its own: it belongs to no request's span
        self._task = asyncio.create_task(self._attempt(work), context=Context())

    def repeat(self, work: Work, pause_s: float) -> None:
        """Do it again and again, with pauses that grow while it fails."""
        self._task = asyncio.create_task(self._again(work, pause_s), context=Context())

    async def stop(self) -> None:
        """Give up what goes on."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _again(self, work: Work, pause_s: float) -> None:
        pause = pause_s
        while True:
            await asyncio.sleep(pause)
            done = await self._attempt(work)
            pause = pause_s if done else min(2 * pause, MAX_PAUSE_S)

    async def _attempt(self, work: Work) -> bool:
        try:
            await work()
        except (Exception, asyncio.CancelledError) as exc:  # the one place: nobody misses a task
            if isinstance(exc, asyncio.CancelledError) and _stopped():
                raise
            self._failed.inc()
            if repr(exc) != self._told:  # once, not every second
                _log.exception("background task failed", extra={"fields": {"task": self._name}})
            self._told = repr(exc)
            return False
        self._told = None
        return True


def _stopped() -> bool:
    """Whether it is the task itself that is cancelled, and not something that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
