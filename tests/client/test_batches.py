import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from onegauge.client import AsyncClient, ClientError
from onegauge.client.batches import BATCH, IN_FLIGHT, inspect_in_batches
from onegauge.client.outcome import Outcome
from onegauge.schemas import Options
from tests.client.fake_gateway import FAILURES, FakeGateway, problem
from tests.client.parts import images


def collect(
    answer: Callable[[httpx.Request], Awaitable[httpx.Response]], paths: list[Path]
) -> list[Outcome]:
    """The outcomes of images sent to a gateway that is one function."""

    async def inspect_all() -> list[Outcome]:
        transport = httpx.MockTransport(answer)
        async with AsyncClient("http://gateway", retries=0, transport=transport) as client:
            return [outcome async for outcome in inspect_in_batches(client, paths, Options())]

    return asyncio.run(inspect_all())


def test_something_else_that_answers_is_no_gateway(tmp_path, normal):
    async def page(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, html="<h1>Welcome</h1>")

    async def nothing(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(404)

    for answer in (page, nothing):
        with pytest.raises(ClientError, match="onegauge gateway"):
            collect(answer, images(tmp_path, a=normal))


def test_a_gateway_that_fails_ends_the_inspection_with_its_own_words(tmp_path, normal):
    async def failing(_request: httpx.Request) -> httpx.Response:
        content = json.dumps({"title": "Unavailable", "detail": "Triton is away"})
        return httpx.Response(
            503, content=content, headers={"content-type": "application/problem+json"}
        )

    with pytest.raises(ClientError, match="503: Triton is away"):
        collect(failing, images(tmp_path, a=normal))


def test_a_busy_gateway_is_asked_again(tmp_path, normal):
    answers = iter([httpx.Response(503, headers={"Retry-After": "0"})])

    async def busy_once(request: httpx.Request) -> httpx.Response:
        return next(answers, None) or FakeGateway()(request)

    outcomes = collect(busy_once, images(tmp_path, a=normal))
    assert [outcome.decision for outcome in outcomes] == ["normal"]


def test_a_few_requests_are_in_flight_and_never_more(tmp_path, normal):
    active, peak = 0, 0
    several = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal active, peak
        active += 1
        peak = max(peak, active)
        if active == IN_FLIGHT:
            several.set()
        await asyncio.wait_for(several.wait(), 60)
        active -= 1
        return FakeGateway()(request)

    count = 2 * IN_FLIGHT * BATCH + 1
    paths = images(tmp_path, **{f"{n:03}": normal for n in range(count)})
    assert [outcome.path for outcome in collect(slow, paths)] == paths
    assert peak == IN_FLIGHT


def answered(gateway: FakeGateway, paths: list[Path]) -> list[str]:
    """The decisions that such a gateway comes to."""

    async def answer(request: httpx.Request) -> httpx.Response:
        return gateway(request)

    return [outcome.decision for outcome in collect(answer, paths)]


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize("failure", FAILURES)
def test_an_image_that_fails_has_a_problem_and_the_others_their_decision(tmp_path, failure, ready):
    paths = images(tmp_path, **{f"{n:02}": b"picture" for n in range(17)})
    gateway = FakeGateway({"03.png": FAILURES[failure], "16.png": FAILURES[failure]}, ready)
    expected = ["error" if n in (3, 16) else "normal" for n in range(17)]
    assert answered(gateway, paths) == expected


def test_an_image_that_fails_alone_has_a_problem_where_the_gateway_is_ready(tmp_path):
    paths = images(tmp_path, a=b"picture")
    assert answered(FakeGateway({"a.png": problem(500)}), paths) == ["error"]
    with pytest.raises(ClientError, match="500: it failed"):
        answered(FakeGateway({"a.png": problem(500)}, is_ready=False), paths)


def test_a_gateway_that_fails_at_all_is_not_asked_for_all(tmp_path):
    paths = images(tmp_path, **{f"{n:03}": b"picture" for n in range(100)})
    gateway = FakeGateway({path.name: problem(502) for path in paths}, is_ready=False)
    with pytest.raises(ClientError, match="502"):
        answered(gateway, paths)
    assert len(gateway.asked) < 50


def test_a_wrong_key_is_told_once_and_not_tried_with_every_image(tmp_path):
    paths = images(tmp_path, **{f"{n:02}": b"picture" for n in range(8)})
    gateway = FakeGateway({path.name: problem(401) for path in paths})
    with pytest.raises(ClientError, match="401"):
        answered(gateway, paths)
    assert len(gateway.asked) == 1


def test_what_later_requests_have_found_is_kept_when_an_earlier_one_ends_it(tmp_path):
    paths = images(tmp_path, **{f"{n:02}": b"picture" for n in range(2 * BATCH)})
    gateway, found = FakeGateway({"00.png": problem(401)}), []

    async def inspect_all() -> None:
        second = asyncio.Event()

        async def answer(request: httpx.Request) -> httpx.Response:
            if b"00.png" in request.content:
                await second.wait()
                for _ in range(100):  # turns of the loop, for the other answer to be read
                    await asyncio.sleep(0)
            second.set()
            return gateway(request)

        transport = httpx.MockTransport(answer)
        async with AsyncClient("http://gateway", retries=0, transport=transport) as client:
            async for outcome in inspect_in_batches(client, paths, Options()):
                found.append(outcome.path)

    with pytest.raises(ClientError, match="401"):
        asyncio.run(inspect_all())
    assert found == paths[BATCH:]
