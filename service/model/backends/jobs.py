"""Jobs of a request in threads: within its deadline, and given up with it."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from onegauge.service.errors import BackendTimeout
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import Outputs
from onegauge.service.threads import go_on, outcome

T = TypeVar("T")

# Begins to inspect a batch (B, H, W, 3), as a whole or in parts that follow each other.
Ask: TypeAlias = Callable[[NDArray[np.uint8]], Sequence[Future[Outputs]]]


async def in_time(pool: ThreadPoolExecutor, job: Callable[[], T], deadline: float) -> T:
    """What a job comes to; raises BackendTimeout after `deadline`, in the event loop's time."""
    try:
        async with asyncio.timeout_at(deadline):
            return await outcome(pool, job)
    except TimeoutError as exc:
        raise BackendTimeout("The model did not answer before the deadline.") from exc


class WaitingRoom:
    """Threads for jobs that wait while a model works for them elsewhere.

    There is one for each of the requests in flight, and one for the shadow version.
    """

    def __init__(self, in_flight: int) -> None:
        self._threads = ThreadPoolExecutor(in_flight + 1, thread_name_prefix="waiting")

    async def work(self, job: Callable[[Infer], T], ask: Ask, deadline: float) -> T:
        """Do a job that infers by `ask`; with the job, what it has asked for is given up."""
        asked: list[Future[Outputs]] = []

        def infer(images: NDArray[np.uint8]) -> Outputs:
            go_on()
            asked[:] = ask(images)
            try:
                go_on()  # else nobody would cancel what was asked for just when it was given up
                return Outputs.joined([part.result() for part in asked])
            finally:
                _cancel(asked)

        try:
            return await in_time(self._threads, partial(job, infer), deadline)
        finally:
            _cancel(asked)

    def close(self) -> None:
        """Drop the jobs that have not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _cancel(futures: Sequence[Future[Outputs]]) -> None:
    for future in futures:
        future.cancel()
