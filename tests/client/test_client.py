import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from onegauge.client import (
    AsyncClient,
    Client,
    ClientError,
    Named,
    NoGateway,
    Refused,
    Unreachable,
    anomaly_map,
    key_of_environment,
)
from onegauge.schemas import Answer, Decision, Options, Rejection
from tests.service.served import served

ANSWER = Answer(model={"name": "m", "version": "1"}, results=[]).model_dump_json()
SERVER_ONLY = ("fastapi", "PIL", "tritonclient", "uvicorn", "onnxruntime", "prometheus_client")


@pytest.fixture(scope="module")
def url(gauge_repository: Path) -> Iterator[str]:
    with served(gauge_repository) as url:
        yield url


def answering(*answers: httpx.Response | Exception) -> tuple[Callable, list[httpx.Request]]:
    """A gateway that gives these answers one after the other, and what it was asked."""
    left, asked = iter(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return answer, asked


def ask(answer: Callable, how: str, **options: object) -> Answer:
    """What either client makes of such a gateway."""
    transport = httpx.MockTransport(answer)
    if how == "sync":
        with Client("http://gateway", transport=transport, **options) as client:
            return client.inspect([b"image"])

    async def session() -> Answer:
        async with AsyncClient("http://gateway", transport=transport, **options) as client:
            return await client.inspect([b"image"])

    return asyncio.run(session())


both = pytest.mark.parametrize("how", ["sync", "async"])


def test_images_are_inspected_by_path_by_bytes_and_by_name(url, normal, defective, tmp_path):
    (tmp_path / "a.png").write_bytes(normal)
    with Client(url) as client:
        answer = client.inspect([tmp_path / "a.png", defective, Named("c.png", b"text")])
        good, bad, none = answer.results
        assert (good.filename, good.decision) == ("a.png", "normal")
        assert bad.decision == "anomalous"
        assert isinstance(none, Rejection)
        assert none.filename == "c.png"
        assert client.ready().model == answer.model
        assert client.model().name == answer.model.name


class LosingTheFirstAnswer(httpx.HTTPTransport):
    """A network that breaks once, after the gateway has answered."""

    lost = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if not self.lost:
            self.lost = True
            response.read()
            raise httpx.ReadError("connection reset by peer")
        return response


def test_a_view_whose_answer_was_lost_counts_once(url, normal, defective):
    camera = Options(part="4711", views=2, line="lossy")
    for image, seen, decision in ((normal, 1, None), (defective, 2, "anomalous")):
        network = LosingTheFirstAnswer()
        with Client(url, transport=network, pause=lambda _: None) as client:
            part = client.inspect([image], camera).part
        assert network.lost
        assert (part.seen, part.missing, part.decision) == (seen, 2 - seen, decision)
    counted = [s for s in httpx.get(f"{url}/metrics").text.splitlines() if "lossy" in s]
    assert 'onegauge_parts_total{decision="anomalous",line="lossy"} 1.0' in counted


def test_async_client_does_the_same(url, normal):
    async def session() -> Answer:
        async with AsyncClient(url) as client:
            await client.ready()
            await client.model()
            return await client.inspect([normal], Options(line="press"))

    (found,) = asyncio.run(session()).results
    assert found.decision == "normal"


def test_map_comes_as_numbers_in_the_size_of_the_image(url, defective):
    with Client(url) as client:
        (found,) = client.inspect([defective], Options(map="npy")).results
        numbers = anomaly_map(found)
        assert numbers.shape == (64, 96)
        assert numbers.dtype == np.float32
        assert np.unravel_index(numbers.argmax(), numbers.shape)[1] >= 60
        (without,) = client.inspect([defective]).results
        assert isinstance(without, Decision)
        with pytest.raises(ClientError, match="map='npy'"):
            anomaly_map(without)


def test_a_request_that_is_refused_tells_why(url):
    with Client(url) as client, pytest.raises(Refused, match="422") as caught:
        client.inspect([b""])
    assert caught.value.status == 422
    assert caught.value.problem["type"].startswith("/problems/")


@both
@pytest.mark.parametrize(
    "first",
    [
        lambda: httpx.Response(503, headers={"Retry-After": "0"}),
        lambda: httpx.Response(429, headers={"Retry-After": "0"}),
        lambda: httpx.Response(503),
        lambda: httpx.ConnectError("nobody listens"),
        lambda: httpx.ReadError("the connection was closed"),
    ],
)
def test_busy_and_absent_gateways_are_asked_again(how, first):
    answer, asked = answering(first(), httpx.Response(200, content=ANSWER))
    assert ask(answer, how).model.version == "1"
    assert len(asked) == 2


@both
def test_it_waits_as_long_as_the_gateway_says(how):
    answer, _ = answering(
        httpx.Response(503, headers={"Retry-After": "0.3"}), httpx.Response(200, content=ANSWER)
    )
    start = time.monotonic()
    ask(answer, how)
    assert time.monotonic() - start >= 0.3


@both
def test_retries_without_a_word_of_when_are_few(how):
    answer, asked = answering(*[httpx.Response(502)] * 5)
    with pytest.raises(Refused, match="502"):
        ask(answer, how, retries=1)
    assert len(asked) == 2


@both
@pytest.mark.parametrize("status", [400, 401, 413, 500, 504])
def test_what_asking_again_would_not_mend_is_asked_once(how, status):
    answer, asked = answering(httpx.Response(status))
    with pytest.raises(Refused, match=str(status)):
        ask(answer, how)
    assert len(asked) == 1


@both
def test_the_time_of_a_call_is_for_all_that_is_sent_again(how):
    busy = [httpx.Response(503, headers={"Retry-After": after}) for after in ("0.1", "0.1", "60")]
    answer, asked = answering(*busy)
    with pytest.raises(Refused):
        ask(answer, how, timeout_s=60)
    first, second, third = (float(request.headers["Request-Timeout"]) for request in asked)
    assert first <= 60
    assert second <= first - 0.1
    assert third <= second - 0.1


def test_nobody_there_is_unreachable():
    answer, _ = answering(httpx.ConnectError("nobody listens"))
    with pytest.raises(Unreachable, match="nobody listens"):
        ask(answer, "sync", retries=0)


def test_another_server_is_no_gateway():
    answer, _ = answering(httpx.Response(200, html="<h1>Welcome</h1>"))
    with pytest.raises(NoGateway, match="onegauge gateway"):
        ask(answer, "sync")


def test_key_goes_with_every_request():
    answer, asked = answering(httpx.Response(200, content=ANSWER))
    ask(answer, "sync", api_key="og_x")
    assert asked[0].headers["Authorization"] == "Bearer og_x"


def test_connections_are_used_again(url, normal):
    with Client(url) as client:
        for _ in range(3):
            client.inspect([normal])
        pool = client._http._transport._pool
        assert len(pool.connections) == 1


def test_it_needs_nothing_of_the_server():
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in SERVER_ONLY)
    ours = "onegauge.client, onegauge.client.inspect, onegauge.client.watch.watch"
    code = f"import sys\n{blocked}import {ours}"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("written", ["og_x", "og_x\r\n", "\ufeffog_x", " og_x "])
def test_key_of_the_environment_is_one_however_it_was_written(monkeypatch, written):
    monkeypatch.setenv("ONEGAUGE_API_KEY", written)
    assert key_of_environment() == "og_x"


def test_no_key_in_the_environment_is_none(monkeypatch):
    monkeypatch.setenv("ONEGAUGE_API_KEY", " ")
    assert key_of_environment() is None
    monkeypatch.delenv("ONEGAUGE_API_KEY")
    assert key_of_environment() is None


@pytest.mark.parametrize("key", ["og_ü", "og_\r\nX: y"])
def test_key_that_cannot_be_one_is_refused_without_being_told(key):
    with pytest.raises(ClientError, match="character") as raised:
        Client("http://gateway", api_key=key)
    assert "og_" not in str(raised.value)
