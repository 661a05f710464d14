"""The threads that decode images and encode maps, apart from the event loop."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger("onegauge.threads")


class Threads:
    """So many at most; what nobody waits for any more is not begun."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="pixels")

    async def run(self, task: Callable[[], T]) -> T:
        """Run one task, which sees the context variables of here, such as the current span."""
        return await outcome(self._pool.submit(copy_context().run, task))

    async def run_all(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run tasks beside each other; the order of what they give stays."""
        return await beside(self.run(task) for task in tasks)


async def outcome(future: Future[T]) -> T:
    """What a thread comes to; an error that comes when nobody waits any more is logged."""
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(_log_error)
        raise


async def beside(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What works come to beside each other; raises the first error, and gives the others up."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        first, *others = errors.exceptions
    else:
        return [task.result() for task in tasks]
    for other in others:
        _log.error("failed beside another error", exc_info=other)
    raise first


def _log_error(future: Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()):
        _log.error("failed when nobody waited any more", exc_info=error)
