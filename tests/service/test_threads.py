import asyncio
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from threading import Event, current_thread

import pytest

from onegauge.service.errors import BackendFailed
from onegauge.service.threads import Threads, beside, outcome

current: ContextVar[str] = ContextVar("current")


def test_order_stays_and_so_many_run_beside_each_other():
    first_waits_for = Event()

    def last() -> int:
        first_waits_for.set()
        return 3

    tasks = [lambda: first_waits_for.wait(20) and 1, lambda: 2, last]
    assert Threads(2).each(tasks) == [1, 2, 3]


def test_one_task_runs_in_the_thread_that_waits():
    assert Threads(2).each([current_thread]) == [current_thread()]


def test_no_more_run_at_once_in_whichever_threads():
    first, second, release = Event(), Event(), Event()
    threads = Threads(1)

    def occupy() -> None:
        first.set()
        release.wait(20)

    with ThreadPoolExecutor(2) as waiting:
        waiting.submit(threads.each, [occupy])
        first.wait(20)
        other = waiting.submit(threads.each, [second.set])
        assert not second.wait(0.05)
        release.set()
        other.result(20)
    assert second.is_set()


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
        release.wait(20)

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


def test_error_of_what_nobody_waits_for_any_more_is_logged(caplog):
    release, ended = Event(), Event()

    def fail() -> None:
        release.wait(20)
        raise RuntimeError("too late")

    async def scenario() -> None:
        with ThreadPoolExecutor(1) as pool:
            job: Future[None] = pool.submit(fail)
            waiting = asyncio.create_task(outcome(job))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            job.add_done_callback(lambda _: ended.set())
            release.set()

    asyncio.run(scenario())
    assert ended.wait(20)
    (record,) = caplog.records
    assert (record.levelno, str(record.exc_info[1])) == (logging.ERROR, "too late")


def test_error_reaches_who_waits_and_no_log(caplog):
    def fail() -> None:
        raise RuntimeError("in time")

    with pytest.raises(RuntimeError, match="in time"):
        asyncio.run(Threads(1).run(fail))
    assert not caplog.records


def test_first_error_of_many_is_raised_with_its_cause_and_no_other_is_lost(caplog):
    gone: list[str] = []

    async def fail(error: Exception) -> None:
        raise error from ValueError("the cause")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gone.append("given up")

    async def scenario() -> None:
        await beside([wait(), fail(BackendFailed("first")), fail(RuntimeError("second"))])

    with pytest.raises(BackendFailed, match="first") as raised:
        asyncio.run(scenario())
    assert str(raised.value.__cause__) == "the cause"
    assert gone == ["given up"]
    assert [str(record.exc_info[1]) for record in caplog.records] == ["second"]
