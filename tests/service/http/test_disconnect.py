import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request

from onegauge.service.http.disconnect import LOST, while_connected


def request(gone: asyncio.Event) -> Request:
    async def receive() -> dict:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


def test_work_whose_client_has_gone_is_cancelled():
    async def scenario() -> bool:
        gone, cancelled = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            async with while_connected(request(gone)):
                gone.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.set()
                    raise

        with pytest.raises(ClientDisconnect):
            await work()
        return cancelled.is_set()

    assert asyncio.run(scenario())


def test_connection_that_ends_with_the_work_is_no_error():
    errors = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: errors.append(context))
        lost, later = loop.create_future(), loop.create_future()
        async with while_connected(Request({"type": "http", "state": {LOST: lost}})):
            lost.set_result(None)
        await asyncio.sleep(0)
        for _ in range(3):
            async with while_connected(Request({"type": "http", "state": {LOST: later}})):
                pass
        assert not later._callbacks  # which would grow with each request of a connection

    asyncio.run(scenario())
    assert not errors


def test_work_that_ends_keeps_its_error_and_leaves_no_task():
    async def scenario() -> int:
        never = asyncio.Event()
        for error in (ValueError, TimeoutError):
            with pytest.raises(error, match="bad"):
                async with while_connected(request(never)):
                    raise error("bad")
        async with while_connected(request(never)):
            pass
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1
