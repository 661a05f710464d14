import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import uvicorn

from service.protocol import HEADER_TIMEOUT_S, Protocol

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


async def app(_scope: dict, _receive: object, send: object) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def connection(
    keep_alive: float = 60,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """To a server that speaks the protocol."""
    config = uvicorn.Config(
        app, port=0, http=Protocol, lifespan="off", log_config=None, timeout_keep_alive=keep_alive
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


def seconds_until_closed(monkeypatch, *sent: bytes) -> float:
    """How long the server waits after it was sent something."""
    monkeypatch.setattr("service.protocol.HEADER_TIMEOUT_S", 0.3)

    async def scenario() -> float:
        async with connection() as (reader, writer), asyncio.timeout(5):
            for data in sent:
                writer.write(data)
                if data.endswith(b"\r\n\r\n"):
                    await reader.readuntil(b"\r\n\r\n")
            start = monotonic()
            await reader.read()
            return monotonic() - start

    return asyncio.run(scenario())


def test_connection_that_says_nothing_is_closed(monkeypatch):
    assert 0.2 < seconds_until_closed(monkeypatch) < 2


def test_header_that_is_not_finished_is_given_up(monkeypatch):
    assert 0.2 < seconds_until_closed(monkeypatch, GET) < 2


def test_header_of_a_later_request_has_to_arrive_in_time_too(monkeypatch):
    assert 0.2 < seconds_until_closed(monkeypatch, GET + b"\r\n", GET) < 2


def test_drops_of_a_header_do_not_gain_time(monkeypatch):
    monkeypatch.setattr("service.protocol.HEADER_TIMEOUT_S", 0.3)

    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"A: a\r\n")
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        async with connection() as (reader, writer), asyncio.timeout(2):
            writer.write(GET)
            dripping = asyncio.create_task(drip(writer))
            await reader.read()
            dripping.cancel()

    asyncio.run(scenario())


def test_header_has_a_greatest_size(monkeypatch):
    monkeypatch.setattr("service.protocol.MAX_HEADER_BYTES", 1000)

    async def scenario() -> bytes:
        async with connection() as (reader, writer), asyncio.timeout(2):
            writer.write(GET + 20 * (b"A: " + 100 * b"a" + b"\r\n"))
            return await reader.read()

    answer = asyncio.run(scenario())
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.endswith(b"The header has more than 1000 bytes.")


def test_body_before_a_header_does_not_count_as_one(monkeypatch):
    monkeypatch.setattr("service.protocol.MAX_HEADER_BYTES", 1000)

    async def scenario() -> bytes:
        async with connection() as (reader, writer), asyncio.timeout(2):
            body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + 5000 * b"b"
            writer.write(body + GET)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\r\n")
            return await reader.readuntil(b"\r\n\r\n")

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")


def test_body_is_not_its_business(monkeypatch):
    monkeypatch.setattr("service.protocol.HEADER_TIMEOUT_S", 0.1)

    async def scenario() -> bytes:
        async with connection() as (reader, writer), asyncio.timeout(5):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.3)
            writer.write(b"67890" + GET + b"\r\n")
            return await reader.readuntil(b"\r\n\r\n")

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")
    assert HEADER_TIMEOUT_S == 5.0
