import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request

from onegauge.service.errors import GatewayBusy
from onegauge.service.http import admission
from onegauge.service.http.admission import Admission
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from tests.service.fake_backend import FakeBackend

PNG = {"Content-Type": "image/png"}


def in_background(call: Callable[[], object]) -> tuple[Thread, list]:
    answers: list = []
    thread = Thread(target=lambda: answers.append(call()))
    thread.start()
    return thread, answers


@contextmanager
def occupied(backend: FakeBackend, client: TestClient, body: bytes) -> Iterator[list]:
    """While an inspection is held back; its answer is in the list afterwards."""
    backend.release.clear()
    thread, answers = in_background(lambda: client.post("/inspect", content=body, headers=PNG))
    assert backend.entered.wait(20)
    try:
        yield answers
    finally:
        backend.release.set()
        thread.join()


def metric(client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def test_what_is_too_much_is_refused_before_its_body_is_read(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend, max_in_flight=1, max_waiting=0)

    def body():
        raise AssertionError("the body was asked for")
        yield b""

    with occupied(backend, client, normal) as answers:
        assert metric(client, "onegauge_requests_in_flight") == 1
        refused = client.post("/inspect", content=body(), headers=PNG)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["type"] == "/problems/gateway-busy"
    assert answers[0].status_code == 200
    assert client.post("/inspect", content=normal, headers=PNG).status_code == 200


async def refused(gate: Admission, request: Request | None = None) -> None:
    with pytest.raises(GatewayBusy):
        async with gate.visit(None, request):
            raise AssertionError


async def kept_waiting(flood: int, *requests: Request) -> int:
    """How many of a flood of refusals, and of those of requests after it, do not come at once."""
    gate = Admission(Settings(max_in_flight=1, max_waiting=0), Metrics())
    async with gate.visit(None):
        many = [None] * flood
        asked = [asyncio.create_task(refused(gate, each)) for each in (*many, *requests)]
        await asyncio.sleep(0)  # in which each comes as far as it can
        left = sum(not task.done() for task in asked)
        await asyncio.gather(*asked)
    return left


@pytest.mark.parametrize(("flood", "waiting"), [(3, 0), (5, 2)])
def test_a_flood_of_refusals_waits_but_the_first_of_it_do_not(monkeypatch, flood, waiting):
    monkeypatch.setattr(admission, "REFUSALS_AT_ONCE", 2)
    assert asyncio.run(kept_waiting(flood)) == waiting


def test_of_a_body_nothing_is_kept_while_its_refusal_waits_and_who_goes_waits_no_more(monkeypatch):
    monkeypatch.setattr(admission, "REFUSALS_AT_ONCE", 0)
    monkeypatch.setattr(admission, "REFUSALS_A_SECOND", 0.001)
    monkeypatch.setattr(admission, "LONGEST_PAUSE_S", 3600)
    piece = {"type": "http.request", "body": b"piece", "more_body": True}
    coming = [piece, piece, {"type": "http.disconnect"}]

    async def receive() -> dict:
        return coming.pop(0)

    request = Request({"type": "http", "headers": []}, receive)
    asyncio.run(asyncio.wait_for(kept_waiting(1, request), 60))
    assert coming == []


def test_who_waits_to_be_asked_for_a_body_is_refused_without(monkeypatch):
    monkeypatch.setattr(admission, "REFUSALS_AT_ONCE", 0)
    monkeypatch.setattr(admission, "LONGEST_PAUSE_S", 0.01)

    async def receive() -> dict:
        raise AssertionError("the body was asked for")

    scope = {"type": "http", "headers": [(b"expect", b"100-continue")]}
    assert asyncio.run(kept_waiting(1, Request(scope, receive))) == 1


def test_requests_wait_for_their_turn_and_no_more_than_may(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend, max_in_flight=1, max_waiting=1)
    with occupied(backend, client, normal) as answers:
        second, waited = in_background(lambda: client.post("/inspect", content=normal, headers=PNG))
        while metric(client, "onegauge_requests_waiting") < 1:
            pass
        assert client.post("/inspect", content=normal, headers=PNG).status_code == 503
    second.join()
    assert [answer.status_code for answer in answers + waited] == [200, 200]


def test_bytes_of_all_requests_together_are_bounded(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend, max_request_bytes=1000, max_buffered_bytes=1500)
    body = normal + b" " * (900 - len(normal))
    with occupied(backend, client, body) as answers:
        assert metric(client, "onegauge_buffered_bytes") == 900
        announced = client.post("/inspect", content=body, headers=PNG)
        unannounced = client.post("/inspect", content=iter([body]), headers=PNG)
    for refused in (announced, unannounced):
        assert refused.status_code == 503
        assert "900 bytes of other requests" in refused.json()["detail"]
    assert answers[0].status_code == 200
    assert metric(client, "onegauge_buffered_bytes") == 0


def test_a_stalled_upload_keeps_nobody_from_the_model(gateway):
    client = gateway(FakeBackend(), max_in_flight=1)
    admission = client.app.state.gateway.admission

    async def scenario() -> None:
        async with admission.visit(None) as stalled:
            stalled.hold(10)
            async with admission.visit(None), asyncio.timeout(20), admission.turn():
                pass

    client.portal.call(scenario)


def test_deadline_of_the_request_ends_it_and_its_inference(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend)
    backend.release.clear()
    response = client.post("/inspect", content=normal, headers=PNG | {"Request-Timeout": "1"})
    assert response.status_code == 504
    assert response.json()["type"] == "/problems/deadline-exceeded"
    assert "1 s" in response.json()["detail"]
    assert backend.cancelled == 1
    assert metric(client, "onegauge_requests_in_flight") == 0
    assert metric(client, "onegauge_buffered_bytes") == 0


def test_deadline_of_the_settings_cannot_be_lengthened(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend, request_timeout_s=0.2)
    backend.release.clear()
    response = client.post("/inspect", content=normal, headers=PNG | {"Request-Timeout": "60"})
    assert response.status_code == 504
    assert "0.2 s" in response.json()["detail"]


def test_places_are_given_back_when_a_request_fails(gateway):
    client = gateway(FakeBackend(), max_in_flight=1, max_waiting=1)
    for _ in range(5):
        assert client.post("/inspect", content=b"", headers=PNG).status_code == 422
    admission = client.app.state.gateway.admission

    async def fill() -> None:
        async with admission.visit(None), admission.visit(None):
            with pytest.raises(GatewayBusy):
                async with admission.visit(None):
                    pass

    client.portal.call(fill)
