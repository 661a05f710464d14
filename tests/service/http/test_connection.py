import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from time import monotonic

import pytest
from starlette.requests import ClientDisconnect, Request

from onegauge.service.http.connection import HEADER_TIMEOUT_S, MAX_BODY_AHEAD
from onegauge.service.http.disconnect import while_connected
from tests.service.http.wire import ABC, GET, POST, answer, body_of, connection, echo


def seconds_until_closed(monkeypatch, *sent: bytes) -> float:
    """How long the server waits after it was connected to, and then sent something."""
    monkeypatch.setattr("onegauge.service.http.connection.HEADER_TIMEOUT_S", 0.5)

    async def scenario() -> float:
        start = monotonic()  # before the server's own, however busy the machine is
        async with connection() as (reader, writer), asyncio.timeout(20):
            for data in sent:
                writer.write(data)
                if data.endswith(b"\r\n\r\n"):
                    await reader.readuntil(b"\r\n\r\n")
            await reader.read()
            return monotonic() - start

    return asyncio.run(scenario())


def test_connection_that_says_nothing_is_closed(monkeypatch):
    assert seconds_until_closed(monkeypatch) >= 0.4


def test_header_that_is_not_finished_is_given_up(monkeypatch):
    assert seconds_until_closed(monkeypatch, GET) >= 0.4


def test_header_of_a_later_request_has_to_arrive_in_time_too(monkeypatch):
    assert seconds_until_closed(monkeypatch, GET + b"\r\n", GET) >= 0.4


def test_drops_of_a_header_do_not_gain_time(monkeypatch):
    monkeypatch.setattr("onegauge.service.http.connection.HEADER_TIMEOUT_S", 0.3)

    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"A: a\r\n")
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        async with connection() as (reader, writer), asyncio.timeout(20):
            writer.write(GET)
            dripping = asyncio.create_task(drip(writer))
            await reader.read()
            dripping.cancel()

    asyncio.run(scenario())


def test_header_has_a_greatest_size(monkeypatch):
    monkeypatch.setattr("onegauge.service.http.connection.MAX_HEADER_BYTES", 1000)

    async def scenario() -> bytes:
        async with connection() as (reader, writer), asyncio.timeout(20):
            writer.write(GET + 20 * (b"A: " + 100 * b"a" + b"\r\n"))
            return await reader.read()

    answer = asyncio.run(scenario())
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.endswith(b"The header has more than 1000 bytes.")


IN_CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"


@pytest.mark.parametrize(
    ("begun", "more"),
    [(b"0\r\n", b"A: a\r\n"), (b"0\r\nA: ", b"a"), (b"1;", b"a")],
    ids=["many", "long", "extension"],
)
def test_what_stands_beside_chunks_has_a_greatest_size_too(monkeypatch, begun, more):
    monkeypatch.setattr("onegauge.service.http.connection.MAX_HEADER_BYTES", 1000)

    async def scenario() -> bytes:
        async with connection() as (reader, writer), asyncio.timeout(20):
            writer.write(IN_CHUNKS + begun)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(1001 * more)
            return await reader.read()

    assert asyncio.run(scenario()).endswith(b"The header has more than 1000 bytes.")


def test_body_may_be_longer_than_a_header(monkeypatch):
    monkeypatch.setattr("onegauge.service.http.connection.MAX_HEADER_BYTES", 1000)

    async def scenario() -> bytes:
        async with connection() as (reader, writer), asyncio.timeout(20):
            writer.write(POST + b"Content-Length: 5000\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.write(4000 * b"b")
            await asyncio.sleep(0.05)
            writer.write(1000 * b"b" + GET + b"\r\n")
            return await reader.readuntil(b"\r\n\r\n")

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")


def test_what_follows_chunks_is_not_kept():
    kept = []

    async def app(scope: dict, receive: object, send: object) -> None:
        await echo(scope, receive, send)
        kept.append([name for name, _ in scope["headers"]])

    async def scenario() -> bytes:
        async with connection(app=app) as (reader, writer), asyncio.timeout(20):
            writer.write(IN_CHUNKS + b"0\r\nB: b\r\n\r\n" + GET + b"\r\n")
            return await answer(reader) + await answer(reader)

    assert asyncio.run(scenario()) == b"POST aGET "
    assert b"b" not in kept[0]


def test_body_before_a_header_does_not_count_as_one(monkeypatch):
    monkeypatch.setattr("onegauge.service.http.connection.MAX_HEADER_BYTES", 1000)

    async def scenario() -> bytes:
        async with connection() as (reader, writer), asyncio.timeout(20):
            body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + 5000 * b"b"
            writer.write(body + GET)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\r\n")
            return await reader.readuntil(b"\r\n\r\n")

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")


def test_body_is_not_its_business(monkeypatch):
    monkeypatch.setattr("onegauge.service.http.connection.HEADER_TIMEOUT_S", 0.5)

    async def scenario() -> bytes:
        async with connection() as (reader, writer), asyncio.timeout(20):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.7)
            writer.write(b"67890" + GET + b"\r\n")
            return await reader.readuntil(b"\r\n\r\n")

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")
    assert HEADER_TIMEOUT_S == 5.0


def uvloop_run(scenario: Awaitable[object]) -> object:
    return pytest.importorskip("uvloop").run(scenario)


class Work:
    """An application that works until it is let go, or its client has gone."""

    def __init__(self) -> None:
        self.begun, self.let_go, self.given_up = (asyncio.Event() for _ in range(3))

    async def __call__(self, scope: dict, receive: object, send: object) -> None:
        body = await body_of(receive)
        self.begun.set()
        departure, end = (asyncio.create_task(w) for w in (receive(), self.let_go.wait()))
        await asyncio.wait([departure, end], return_when=asyncio.FIRST_COMPLETED)
        if departure.done():
            self.given_up.set()
            end.cancel()
            return
        departure.cancel()

        async def received() -> dict:
            return {"body": body}

        await echo(scope, received, send)


each_loop = pytest.mark.parametrize("run", [asyncio.run, uvloop_run], ids=["asyncio", "uvloop"])


@each_loop
def test_client_that_ends_its_sending_gets_its_answer_and_the_end(run):
    async def scenario() -> tuple[bytes, bytes, bool]:
        work = Work()
        async with connection(app=work) as (reader, writer), asyncio.timeout(20):
            writer.write(POST + ABC)
            writer.write_eof()
            first_word = await reader.readexactly(9)
            await asyncio.sleep(0.3)  # looks at it meanwhile
            work.let_go.set()
            return first_word, await reader.read(), work.given_up.is_set()

    first_word, rest, given_up = run(scenario())
    assert first_word + rest == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nPOST abc"
    )
    assert not given_up


@each_loop
@pytest.mark.parametrize("abort", [False, True], ids=["closed", "reset"])
def test_work_for_a_client_that_has_gone_is_given_up(run, abort):
    async def scenario() -> None:
        work = Work()
        async with connection(app=work) as (_, writer), asyncio.timeout(20):
            writer.write(POST + ABC)
            await work.begun.wait()
            writer.transport.abort() if abort else writer.close()
            await work.given_up.wait()

    run(scenario())


@each_loop
def test_work_behind_a_long_body_hears_of_the_end_of_its_connection(run, monkeypatch):
    monkeypatch.setattr("onegauge.service.http.connection.MAX_BODY_AHEAD", 2)
    reading, begun, given_up = (asyncio.Event() for _ in range(3))

    async def app(scope: dict, receive: object, _send: object) -> None:
        reading.set()
        await body_of(receive)
        with suppress(ClientDisconnect):
            async with while_connected(Request(scope, receive)):
                begun.set()
                await asyncio.Event().wait()
        given_up.set()

    async def scenario() -> None:
        async with connection(app=app) as (_, writer), asyncio.timeout(20):
            writer.write(POST + ABC[:-3])
            await reading.wait()
            writer.write(ABC[-3:])
            await begun.wait()
            writer.close()
            await given_up.wait()

    run(scenario())


@each_loop
def test_body_that_waits_is_bounded_and_stays_as_it_is(run):
    sent = b"".join(b"%08d" % number for number in range(2**17))
    waited = []

    async def app(scope: dict, receive: object, send: object) -> None:
        cycle = receive.__self__
        while not cycle.flow.read_paused:
            await asyncio.sleep(0.01)
        waited.append(len(cycle.body))
        await echo(scope, receive, send)

    async def scenario() -> bytes:
        async with connection(app=app) as (reader, writer), asyncio.timeout(20):
            writer.write(POST + b"Content-Length: %d\r\n\r\n" % len(sent) + sent)
            return await answer(reader)

    assert run(scenario()) == b"POST " + sent
    assert waited[0] <= 2 * MAX_BODY_AHEAD


def test_requests_before_the_end_of_sending_are_all_answered():
    async def scenario() -> bytes:
        async with connection(app=echo) as (reader, writer), asyncio.timeout(20):
            writer.write(3 * (POST + ABC))
            writer.write_eof()
            return await reader.read()

    assert asyncio.run(scenario()).count(b"POST abc") == 3


@pytest.mark.parametrize("requests", [1, 2], ids=["answer begun", "request waits"])
@pytest.mark.parametrize("part", [b"HTTP/1.1 abc", b"abc"])
@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "within it"])
def test_end_of_sending_leaves_every_answer_as_it_is(requests, part, early):
    end_is_seen = asyncio.Event()

    async def app(_scope: dict, receive: object, send: object) -> None:
        await body_of(receive)
        if early:
            await end_is_seen.wait()
        headers = [(b"content-length", b"%d" % (2 * len(part)))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await end_is_seen.wait()
        await send({"type": "http.response.body", "body": part})

    async def scenario() -> bytes:
        async with connection(app=app) as (reader, writer), asyncio.timeout(20):
            writer.write(requests * (POST + ABC))
            begun = b"" if early else await reader.readuntil(b"\r\n\r\n" + part)
            writer.write_eof()
            await asyncio.sleep(0.05)
            end_is_seen.set()
            return begun + await reader.read()

    answers = asyncio.run(scenario()).split(b"HTTP/1.1 200 OK")[1:]
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == requests * [2 * part]


@pytest.mark.parametrize("sent", [b"", GET, POST + ABC[:-1]], ids=["nothing", "header", "body"])
def test_end_of_sending_before_the_end_of_a_request_ends_the_connection(monkeypatch, sent):
    monkeypatch.setattr("onegauge.service.http.connection.HEADER_TIMEOUT_S", 3600)

    async def scenario() -> bytes:
        async with connection(app=Work()) as (reader, writer), asyncio.timeout(20):
            writer.write(sent)
            writer.write_eof()
            return await reader.read()

    assert asyncio.run(scenario()) == b""
