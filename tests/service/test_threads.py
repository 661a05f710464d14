import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from threading import Event, current_thread

import pytest

from onegauge.service.errors import BackendFailed, BackendTimeout
from onegauge.service.threads import Threads, beside, outcome

current: ContextVar[str] = ContextVar("current")


def given_up_before(step: Callable[[], object], *, after_loop: bool = False) -> None:
    """Give a task up when it has begun, and let it end with this step, maybe after the loop."""
    begun, release = Event(), Event()

    def task() -> object:
        begun.set()
        release.wait(20)
        return step()

    async def give_up(pool: ThreadPoolExecutor) -> None:
        waiting = asyncio.create_task(outcome(pool, task))
        await asyncio.to_thread(begun.wait, 20)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if not after_loop:
            release.set()

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(give_up(pool))
        release.set()


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
    def fail() -> None:
        raise RuntimeError("too late")

    given_up_before(fail)
    (record,) = caplog.records
    assert (record.levelno, str(record.exc_info[1])) == (logging.ERROR, "too late")


def test_problem_that_no_client_waits_for_any_more_is_not_logged(caplog):
    def fail() -> None:
        raise BackendTimeout("the deadline is over here, too")

    given_up_before(fail)
    assert not caplog.records


def test_what_a_pool_drops_is_given_up():
    release = Event()

    async def scenario(pool: ThreadPoolExecutor) -> None:
        begun = asyncio.create_task(outcome(pool, partial(release.wait, 20)))
        dropped = asyncio.create_task(outcome(pool, current_thread))
        await asyncio.sleep(0)
        pool.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(asyncio.CancelledError):
            await dropped
        release.set()
        assert await begun

    asyncio.run(scenario(ThreadPoolExecutor(1)))


def test_task_that_ends_after_the_event_loop_is_no_error(caplog):
    ended = Event()
    given_up_before(ended.set, after_loop=True)
    assert ended.is_set()
    assert not caplog.records


def test_what_was_given_up_begins_no_task_more(caplog):
    begun: list[int] = []
    threads = Threads(2)
    given_up_before(lambda: threads.here(partial(begun.append, 1)))
    given_up_before(lambda: threads.each([partial(begun.append, 2), partial(begun.append, 3)]))
    assert begun == []
    assert not caplog.records


def test_what_comes_after_an_error_is_not_begun():
    begun: list[str] = []
    threads = Threads(1)

    def fail() -> None:
        raise RuntimeError("at once")

    occupied, release = Event(), Event()

    def occupy() -> None:
        occupied.set()
        release.wait(20)

    with ThreadPoolExecutor(1) as waiting:
        with pytest.raises(RuntimeError, match="at once"):
            threads.each([fail, occupy, partial(begun.append, "third")])
        release.set()
        waiting.submit(threads.each, [partial(begun.append, "next")] * 2).result(20)
    assert begun == ["next", "next"]


def test_error_reaches_who_waits_and_no_log(caplog):
    def fail() -> None:
        raise RuntimeError("in time")

    with pytest.raises(RuntimeError, match="in time"):
        asyncio.run(Threads(1).run(fail))
    assert not caplog.records


def test_first_error_of_many_is_raised_with_its_cause_and_no_other_bug_is_lost(caplog):
    gone: list[str] = []

    async def fail(error: Exception) -> None:
        raise error from ValueError("the cause")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gone.append("given up")

    async def scenario() -> None:
        errors = BackendFailed("first"), RuntimeError("second"), BackendTimeout("third")
        await beside([wait(), *map(fail, errors)])

    with pytest.raises(BackendFailed, match="first") as raised:
        asyncio.run(scenario())
    assert str(raised.value.__cause__) == "the cause"
    assert gone == ["given up"]
    assert [str(record.exc_info[1]) for record in caplog.records] == ["second"]
