import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event

import numpy as np
import pytest

from onegauge.service.errors import BackendTimeout
from onegauge.service.model.backends.jobs import WaitingRoom
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import Outputs

IMAGES = np.zeros((2, 4, 4, 3), np.uint8)


def never(_images: np.ndarray) -> list[Future[Outputs]]:
    """A model that does not answer."""
    return [Future(), Future()]


def working(room: WaitingRoom, job: Callable[[Infer], object], timeout: float = 20) -> object:
    """What a job in the room comes to."""
    return room.work(job, never, asyncio.get_running_loop().time() + timeout)


def test_what_a_job_has_asked_for_is_given_up_with_it(caplog):
    asked: list[Future[Outputs]] = []

    def ask(images: np.ndarray) -> list[Future[Outputs]]:
        asked.extend(never(images))
        return asked

    async def scenario() -> None:
        deadline = asyncio.get_running_loop().time() + 0.2
        with pytest.raises(BackendTimeout, match="before the deadline"):
            await WaitingRoom(1).work(lambda infer: infer(IMAGES), ask, deadline)

    asyncio.run(scenario())
    assert [future.cancelled() for future in asked] == [True, True]
    assert not caplog.records


def test_a_job_that_was_given_up_asks_for_nothing_more(caplog):
    begun, given_up, ended = Event(), Event(), Event()
    asked: list[np.ndarray] = []

    def ask(images: np.ndarray) -> list[Future[Outputs]]:
        asked.append(images)
        return never(images)

    def job(infer: Infer) -> None:
        begun.set()
        given_up.wait(20)
        try:
            infer(IMAGES)
        finally:
            ended.set()

    async def scenario() -> None:
        work = WaitingRoom(1).work(job, ask, asyncio.get_running_loop().time() + 20)
        client = asyncio.create_task(work)
        await asyncio.to_thread(begun.wait, 20)
        client.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client
        given_up.set()
        await asyncio.to_thread(ended.wait, 20)

    asyncio.run(scenario())
    assert not asked
    assert not caplog.records


def test_parts_beside_one_that_fails_are_given_up():
    failed, other = Future[Outputs](), Future[Outputs]()
    failed.set_exception(BackendTimeout("too slow"))

    async def scenario() -> None:
        deadline = asyncio.get_running_loop().time() + 20
        await WaitingRoom(1).work(lambda infer: infer(IMAGES), lambda _: [failed, other], deadline)

    with pytest.raises(BackendTimeout, match="too slow"):
        asyncio.run(scenario())
    assert other.cancelled()


def test_no_request_in_flight_waits_for_the_shadow_version():
    async def scenario() -> str:
        room = WaitingRoom(1)
        shadow = asyncio.create_task(working(room, lambda infer: infer(IMAGES)))
        await asyncio.sleep(0)
        request = await working(room, lambda _: "answered")
        shadow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shadow
        return request

    assert asyncio.run(scenario()) == "answered"
