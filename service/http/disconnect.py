"""Work whose client has gone is given up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request


@asynccontextmanager
async def while_connected(request: Request) -> AsyncIterator[None]:
    """Around work that follows the request's body; raises ClientDisconnect when nobody waits."""
    try:
        async with asyncio.timeout(None) as patience:  # which ends with the connection
            departure = asyncio.create_task(_until_gone(request, patience))
            try:
                yield
            finally:
                departure.cancel()
    except TimeoutError as exc:
        if not patience.expired():
            raise
        raise ClientDisconnect from exc


async def _until_gone(request: Request, patience: asyncio.Timeout) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    patience.reschedule(asyncio.get_running_loop().time())
