"""Work whose client has gone is given up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

LOST = "connection_lost"  # in the state of a scope: a future that is done then


@asynccontextmanager
async def while_connected(request: Request) -> AsyncIterator[None]:
    """Around work that follows the request's body; raises ClientDisconnect when nobody waits.

    A `Connection` has a future for that, which costs less than a task as for another server.
    """
    loop = asyncio.get_running_loop()
    told = request.scope.get("state", {}).get(LOST)
    lost = loop.create_task(until_gone(request)) if told is None else told
    try:
        async with asyncio.timeout(None) as patience:  # which ends with the connection
            at_work = True

            def lose(_lost: object) -> None:
                if at_work:  # which may have ended just before it is called
                    patience.reschedule(loop.time())

            lost.add_done_callback(lose)
            try:
                yield
            finally:
                at_work = False
                lost.remove_done_callback(lose)
                if told is None:
                    lost.cancel()
    except TimeoutError as exc:
        if not patience.expired():
            raise
        raise ClientDisconnect from exc


async def until_gone(request: Request) -> None:
    """Take what comes of a request's body, and drop it, until its client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
