"""Lets old records and pictures go, now and then, beside all else."""

import asyncio
from concurrent.futures import Future
from threading import Thread

from onegauge.records.errors import RecordsUnavailable
from onegauge.records.retention import Limits, prune
from onegauge.service.inspection.background import Background
from onegauge.service.observe.metrics import Metrics
from onegauge.service.recording.store import Store

EVERY_S = 600.0


class Retention:
    """One gateway of several does it at a time; no end of the process waits for it."""

    def __init__(self, store: Store, limits: Limits, metrics: Metrics) -> None:
        self._store, self._limits = store, limits
        self._task = Background("retention", metrics)

    def start(self) -> None:
        """Do it every ten minutes from now on."""
        self._task.repeat(self._prune, EVERY_S)

    async def stop(self) -> None:
        """Do it no more; what goes on in a thread may be cut off by the end of the process."""
        await self._task.stop()

    async def _prune(self) -> None:
        done: Future[None] = Future()
        Thread(target=self._settle, args=(done,), name="retention", daemon=True).start()
        await asyncio.wrap_future(done)

    def _settle(self, done: "Future[None]") -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            pictures = self._store.pictures if self._store.has_pictures else None
            prune(self._store.database, pictures, self._limits)
        except RecordsUnavailable:  # which the writer finds, too, and tells
            done.set_result(None)
        except Exception as exc:  # for the task, which tells of it
            done.set_exception(exc)
        else:
            done.set_result(None)
