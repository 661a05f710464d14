"""What can go wrong on the way to a gateway ends in a ClientError that says so."""

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from threading import Thread

import httpx
import pytest

from onegauge.client import (
    AsyncClient,
    Away,
    Client,
    ClientError,
    Named,
    NoGateway,
    Refused,
    Unreachable,
    anomaly_map,
)
from onegauge.schemas import Decision
from tests.client.fake_gateway import MODEL, FakeGateway, decided, page, problem


def ask(*answers: httpx.Response, retries: int = 0, timeout_s: float = 60.0) -> object:
    """What the client makes of these answers, one after the other."""
    left = iter(answers)
    transport = httpx.MockTransport(lambda _: next(left))
    options = {"retries": retries, "timeout_s": timeout_s, "transport": transport}
    with Client("http://gateway", **options) as client:
        return client.inspect([b"image"])


def answer() -> httpx.Response:
    return httpx.Response(200, json={"model": MODEL, "results": [decided("image")]})


@pytest.mark.parametrize("status", [502, 503, 504, 520])
def test_page_of_a_proxy_is_a_refusal_that_asks_what_answers_there(status):
    with pytest.raises(
        Refused, match=f"gateway answered {status}: .*is it a onegauge gateway"
    ) as e:
        ask(page(status)())
    assert (e.value.status, e.value.problem) == (status, {})


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_problem_that_is_none_is_told_by_its_status(content):
    headers = {"content-type": "application/problem+json"}
    with pytest.raises(Refused, match="answered 500") as caught:
        ask(httpx.Response(500, content=content, headers=headers))
    assert caught.value.problem == {}


def test_problem_is_read_whatever_else_its_content_type_says():
    found = problem(503, "Triton is away")()
    found.headers["content-type"] = "application/problem+json; charset=utf-8"
    with pytest.raises(Refused, match="503: Triton is away"):
        ask(found)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"<html>", b"[" * 100_000])
def test_answer_that_is_no_json_is_of_no_gateway(content):
    with pytest.raises(NoGateway, match="does not answer like a onegauge gateway"):
        ask(httpx.Response(200, content=content))


@pytest.mark.parametrize("said", ["nan", "inf", "-5", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_strange_words_of_when_to_come_back_end_nothing(said):
    first = httpx.Response(503, headers={"Retry-After": said})
    assert ask(first, answer(), retries=1)


def test_gateway_that_says_at_once_is_not_asked_without_a_pause():
    always = [httpx.Response(503, headers={"Retry-After": "0"}) for _ in range(20)]
    with pytest.raises(Refused, match="503"):
        ask(*always, timeout_s=0.5)


def both(url: str, **options: object) -> list[type[Exception]]:
    """What either client raises."""

    async def session() -> None:
        async with AsyncClient(url, retries=0, **options) as client:
            await client.inspect([b"image"])

    raised = []
    with pytest.raises(ClientError) as caught, Client(url, retries=0, **options) as client:
        client.inspect([b"image"])
    raised.append(caught.type)
    with pytest.raises(ClientError) as caught:
        asyncio.run(session())
    return [*raised, caught.type]


def test_nobody_at_the_address_is_away():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert both(url) == [Away, Away]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_connection_that_breaks_is_unreachable(sent):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)

        def serve() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                with connection:
                    while (got := connection.recv(65536)) and not got.endswith(b"--\r\n"):
                        pass
                    connection.sendall(sent)

        thread = Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert both(url) == [Unreachable, Unreachable]
        thread.join()


def test_gateway_that_does_not_answer_in_time_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert both(url, timeout_s=0.2) == [Unreachable, Unreachable]


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://:8000",
        "http://gateway:99999",
        "http://gateway:port",
        "http://a..b",
        f"http://{'a' * 70}",
        "http://\udcff",
        "http://gate\nway",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_told_at_once(url):
    with pytest.raises(ClientError, match="is not an address"):
        Client(url)


@pytest.mark.parametrize("key", ["og_ü", "og_x\n", "og_\udcff"])
def test_key_that_no_header_can_have_is_told_and_not_shown(key):
    with pytest.raises(ClientError, match="API key") as caught:
        Client("http://gateway", api_key=key)
    assert "og_" not in str(caught.value)


def test_file_that_cannot_be_read_is_named(tmp_path):
    with Client("http://gateway") as client, pytest.raises(ClientError, match=r"gone\.png cannot"):
        client.inspect([tmp_path / "gone.png"])


def test_names_that_are_no_utf_8_are_sent_with_escapes(tmp_path):
    gateway = FakeGateway()
    path = tmp_path / "b\udcff.png"
    path.write_bytes(b"picture")
    with Client("http://gateway", transport=httpx.MockTransport(gateway)) as client:
        client.inspect([path, Named("c\udcff.png", b"picture")])
    # quoted once more for the header
    assert gateway.asked == [[r"b\\udcff.png", r"c\\udcff.png"]]


@pytest.mark.parametrize("data", ["", "A", b64encode(b"\x93NUMPY").decode()])
def test_map_that_is_damaged_is_told(data):
    picture = {"encoding": "npy", "width": 1, "height": 1, "scale": None, "data": data}
    found = Decision.model_validate({**decided("a.png"), "anomaly_map": picture})
    with pytest.raises(ClientError, match="no array"):
        anomaly_map(found)


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer that comes piece by piece, and does not end."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b" "

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_answer_that_does_not_end_is_given_up_in_time(kind):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless()))
    client = kind("http://gateway", transport=transport, retries=0, timeout_s=0.05)

    async def ask() -> object:
        return await client.ready() if kind is AsyncClient else client.ready()

    with pytest.raises(Unreachable, match="did not end in time"):
        asyncio.run(ask())


def test_an_error_without_words_of_its_own_is_told():
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("")

    with (
        Client("http://gateway", transport=httpx.MockTransport(fail), retries=0) as client,
        pytest.raises(Unreachable, match="no answer from http://gateway: timed out"),
    ):
        client.ready()
