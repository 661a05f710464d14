import asyncio
import logging

import pytest

from onegauge.service.inspection.background import Background
from onegauge.service.observe.metrics import Metrics


def failures(metrics: Metrics) -> str:
    found = metrics.exposition().decode().splitlines()
    return next(s for s in found if s.startswith("onegauge_background_failures_total{"))


def test_a_task_survives_its_errors_which_are_logged_once_and_counted(caplog):
    metrics, calls, enough = Metrics(), [], asyncio.Event()

    async def work() -> None:
        calls.append(1)
        if len(calls) == 4:
            enough.set()
        if len(calls) < 4:
            raise RuntimeError("out of the blue")

    async def scenario() -> None:
        task = Background("cleaning", metrics)
        assert failures(metrics).endswith('{task="cleaning"} 0.0'), "so that an increase shows"
        task.repeat(work, 0.001)
        async with asyncio.timeout(60):
            await enough.wait()
        assert task.busy
        await task.stop()
        assert not task.busy

    asyncio.run(scenario())
    assert failures(metrics).endswith('{task="cleaning"} 3.0')
    (record,) = caplog.records
    assert (record.levelno, record.fields) == (logging.ERROR, {"task": "cleaning"})
    assert "out of the blue" in caplog.text


def test_an_error_that_comes_back_is_logged_again(caplog):
    async def fail() -> None:
        raise RuntimeError("once more")

    async def succeed() -> None: ...

    async def scenario() -> None:
        task = Background("cleaning", Metrics())
        for work in (fail, succeed, fail):
            task.begin(work)
            while task.busy:
                await asyncio.sleep(0)

    asyncio.run(scenario())
    assert len(caplog.records) == 2


def test_what_it_waits_for_may_be_cancelled():
    async def scenario() -> int:
        task, calls, enough = Background("cleaning", Metrics()), [], asyncio.Event()

        async def work() -> None:
            calls.append(1)
            if len(calls) > 1:
                enough.set()
            other = asyncio.ensure_future(asyncio.sleep(60))
            other.cancel()
            await other

        task.repeat(work, 0.001)
        async with asyncio.timeout(60):
            await enough.wait()
        await task.stop()
        return len(calls)

    assert asyncio.run(scenario()) >= 2


@pytest.mark.parametrize("begun", [False, True])
def test_it_can_be_stopped_at_any_time(begun):
    async def scenario() -> None:
        task = Background("cleaning", Metrics())
        if begun:
            task.begin(asyncio.Event().wait)
        await task.stop()
        assert not task.busy

    asyncio.run(scenario())
