"""How many decode images and encode maps at once, and their threads apart from the event loop."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import BoundedSemaphore
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger("onegauge.threads")


class Threads:
    """So many at most; what nobody waits for any more is not begun."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="pixels")
        self._bound = BoundedSemaphore(count)  # of tasks, in whichever thread

    async def run(self, task: Callable[[], T]) -> T:
        """Run one task, which sees the context variables of here, such as the current span."""
        return await outcome(self._begin(task))

    def each(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run tasks for a thread that waits: one where it is, several beside each other."""
        first, *others = tasks
        if not others:
            return [self._run(first)]
        return [future.result() for future in [self._begin(task) for task in (first, *others)]]

    def _begin(self, task: Callable[[], T]) -> Future[T]:
        return self._pool.submit(copy_context().run, self._run, task)

    def _run(self, task: Callable[[], T]) -> T:
        with self._bound:
            return task()


async def outcome(future: Future[T]) -> T:
    """What a thread comes to; an error that comes when nobody waits any more is logged."""
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(_log_error)
        raise


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
        _log.error("failed beside another error", exc_info=other)
    raise error


def _log_error(future: Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if error and not isinstance(error, CancelledError):  # nor what it waited for was given up
        _log.error("failed when nobody waited any more", exc_info=error)
