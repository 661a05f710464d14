"""A connection to a server as the gateway runs it, and applications that say what came."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn

from onegauge.service.http.connection import Connection

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
ABC = b"Content-Length: 3\r\n\r\nabc"


async def app(_scope: dict, _receive: object, send: object) -> None:
    """Answers at once, whatever is still to come."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


async def echo(scope: dict, receive: object, send: object) -> None:
    """Answers with the method and the body."""
    answer = scope["method"].encode() + b" " + await body_of(receive)
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def body_of(receive: object) -> bytes:
    """The whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


@asynccontextmanager
async def connection(
    keep_alive: float = 60, app: Callable[..., Awaitable[None]] = app
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server whose own connections are `Connection`s."""
    config = uvicorn.Config(
        app,
        port=0,
        http=Connection,
        lifespan="off",
        log_config=None,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await server.shutdown()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer."""
    header = await reader.readuntil(b"\r\n\r\n")
    assert header.startswith(b"HTTP/1.1 200"), header
    length = header.lower().partition(b"content-length: ")[2].split()[0]
    return await reader.readexactly(int(length))
