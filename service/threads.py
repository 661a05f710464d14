"""How many decode images and encode maps at once, and their threads apart from the event loop."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from onegauge.service.errors import Problem

T = TypeVar("T")

_waited_for: ContextVar["_Waiting | None"] = ContextVar("waited_for", default=None)

_log = logging.getLogger("onegauge.threads")


class Threads:
    """So many at most; what nobody waits for any more is not begun."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="pixels")
        # of tasks, in whichever thread; threading's semaphores take ten times as long
        self._places = SimpleQueue[None]()
        for _ in range(count):
            self._places.put(None)

    async def run(self, task: Callable[[], T]) -> T:
        """Run one task, which sees the context variables of here, such as the current span."""
        return await outcome(self._pool, partial(self.here, task))

    def here(self, task: Callable[[], T]) -> T:
        """Run one task in the thread that calls; raises CancelledError if that was given up."""
        self._places.get()
        try:
            go_on()
            return task()
        finally:
            self._places.put(None)

    def each(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run tasks for a thread that waits, as `here`: one there, several beside each other."""
        first, *others = tasks
        if not others:
            return [self.here(first)]
        futures = [
            self._pool.submit(copy_context().run, self.here, task) for task in (first, *others)
        ]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:  # what comes after an error is not begun
                future.cancel()


class _Waiting:
    """Somebody who waits for a task of a thread. An Event of threading takes ten times as long."""

    given_up = False


async def outcome(pool: ThreadPoolExecutor, task: Callable[[], T]) -> T:
    """What a task comes to in a pool, where it sees the context variables of here.

    Who gives up gives up the turn, too, and what has begun ends at the next `go_on`. An error that
    comes then is logged.
    """
    waiting, context = _Waiting(), copy_context()
    context.run(_waited_for.set, waiting)
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def tell(_future: Future[T]) -> None:
        if not waiting.given_up:
            loop.call_soon_threadsafe(done.set)

    future = pool.submit(context.run, task)
    future.add_done_callback(tell)  # asyncio.wrap_future takes twice as long
    try:
        await done.wait()
        return future.result()
    except asyncio.CancelledError:
        waiting.given_up = True
        future.cancel()
        future.add_done_callback(_log_outcome)
        raise
    except CancelledError as exc:
        raise asyncio.CancelledError from exc


def go_on() -> None:
    """Raise CancelledError in a thread whose task was given up."""
    waiting = _waited_for.get()
    if waiting and waiting.given_up:
        raise CancelledError


async def beside(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What works come to beside each other; raises the first error, and gives the others up."""
    first, *others = works
    if not others:  # mostly, and without a task of its own
        return [await first]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in (first, *others)]
    except BaseExceptionGroup as errors:
        error, *more = errors.exceptions
    else:
        return [task.result() for task in tasks]
    for other in more:
        _log_error(other, "failed beside another error")
    raise error


def _log_outcome(future: Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()):
        _log_error(error, "failed when nobody waited any more")


def _log_error(error: BaseException, message: str) -> None:
    """Log what nobody is told, but for what is meant for clients, as a deadline that is over."""
    if not isinstance(error, CancelledError | Problem):
        _log.error(message, exc_info=error)
