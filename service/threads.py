"""The threads that decode images and encode maps, apart from the event loop."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """So many at most; what nobody waits for any more is not begun."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="pixels")

    async def run(self, task: Callable[[], T]) -> T:
        """Run one task, which sees the context variables of here, such as the current span."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, copy_context().run, task)

    async def run_all(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run tasks beside each other; the order of what they give stays."""
        return await asyncio.gather(*(self.run(task) for task in tasks))
