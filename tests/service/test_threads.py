import asyncio
from contextvars import ContextVar
from functools import partial
from threading import Event

import pytest

from service.threads import Threads

current: ContextVar[str] = ContextVar("current")


def test_order_stays_and_so_many_run_beside_each_other():
    first_waits_for = Event()

    def last() -> int:
        first_waits_for.set()
        return 3

    async def scenario() -> list[int]:
        tasks = [lambda: first_waits_for.wait(5) and 1, lambda: 2, last]
        return await Threads(2).run_all(tasks)

    assert asyncio.run(scenario()) == [1, 2, 3]
    assert asyncio.run(Threads(1).run_all([])) == []


def test_tasks_see_context_variables():
    async def scenario() -> str:
        current.set("span")
        return await Threads(1).run(current.get)

    assert asyncio.run(scenario()) == "span"


def test_what_nobody_waits_for_is_not_begun():
    begun: list[str] = []
    release = Event()

    def occupy() -> None:
        begun.append("first")
        release.wait(5)

    async def scenario() -> None:
        threads = Threads(1)
        first = asyncio.create_task(threads.run(occupy))
        second = asyncio.create_task(threads.run(partial(begun.append, "second")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        release.set()
        await first
        await threads.run(partial(begun.append, "third"))

    asyncio.run(scenario())
    assert begun == ["first", "third"]
