"""Work whose client has gone is given up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do `work` after the request's body was read; raises ClientDisconnect when nobody waits."""
    try:
        async with asyncio.timeout(None) as patience:  # which ends with the connection
            departure = asyncio.create_task(_until_gone(request, patience))
            try:
                return await work
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
