"""Jobs of a request in threads: within its deadline, and given up with it."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Event
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from onegauge.service.errors import BackendTimeout
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import Outputs
from onegauge.service.threads import outcome

T = TypeVar("T")

# Begins to inspect a batch (B, H, W, 3), as a whole or in parts that follow each other.
Ask: TypeAlias = Callable[[NDArray[np.uint8]], Sequence[Future[Outputs]]]


async def in_time(future: Future[T], deadline: float) -> T:
    """What a job comes to; raises BackendTimeout after `deadline`, in the event loop's time.

    Who gives up gives up the turn, too.
    """
    try:
        async with asyncio.timeout_at(deadline):
            return await outcome(future)
    except TimeoutError as exc:
        raise BackendTimeout("The model did not answer before the deadline.") from exc


class WaitingRoom:
    """Threads for jobs that wait while a model works for them elsewhere."""

    def __init__(self, places: int) -> None:
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="waiting")

    async def work(self, job: Callable[[Infer], T], ask: Ask, deadline: float) -> T:
        """Do a job that infers by `ask`; with the job, what it has asked for is given up."""
        given_up = Event()
        asked: list[Future[Outputs]] = []

        def infer(images: NDArray[np.uint8]) -> Outputs:
            asked[:] = ask(images)
            if given_up.is_set():
                _cancel(asked)
            return Outputs.joined([part.result() for part in asked])

        try:
            return await in_time(self._threads.submit(copy_context().run, job, infer), deadline)
        finally:
            given_up.set()
            _cancel(asked)

    def close(self) -> None:
        """Drop the jobs that have not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _cancel(futures: Sequence[Future[Outputs]]) -> None:
    for future in futures:
        future.cancel()
