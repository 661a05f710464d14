import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request

from onegauge.service.http.disconnect import while_connected


def request(gone: asyncio.Event) -> Request:
    async def receive() -> dict:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


def test_work_whose_client_has_gone_is_cancelled():
    async def scenario() -> bool:
        gone, cancelled = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            gone.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        with pytest.raises(ClientDisconnect):
            await while_connected(request(gone), work())
        return cancelled.is_set()

    assert asyncio.run(scenario())


def test_work_that_ends_gives_its_result_or_its_error_and_leaves_no_task():
    async def good() -> int:
        return 3

    async def bad() -> int:
        raise ValueError("bad")

    async def scenario() -> int:
        never = asyncio.Event()
        with pytest.raises(ValueError, match="bad"):
            await while_connected(request(never), bad())
        assert await while_connected(request(never), good()) == 3
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1
