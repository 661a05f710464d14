import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from onegauge.schemas import Answer, Options
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.inspection.inquiry import Inquiry, Upload
from onegauge.service.inspection.inspector import Inspector
from onegauge.service.inspection.parts import DecidedPart
from onegauge.service.inspection.taken import Taken
from onegauge.service.inspection.versions import Versions
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads
from tests.service.fake_backend import FakeBackend

DEADLINE_S = 60.0


class Told:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.all: list[Taken | DecidedPart] = []
        self.part = asyncio.Event()

    def take(self, taken: Taken, _upload: Upload) -> None:
        self.all.append(taken)

    def take_part(self, part: DecidedPart) -> None:
        self.all.append(part)
        self.part.set()


Ask = Callable[..., Awaitable[Answer]]
Scenario = Callable[[Ask, Told], Awaitable[None]]


@pytest.fixture
def run(gauge_repository: Path) -> Callable[..., Told]:
    """Runs a scenario with an inspector, stops that, and gives what a taker was told."""

    async def session(scenario: Scenario, part_timeout_s: float) -> Told:
        settings = Settings(repository=gauge_repository, part_timeout_s=part_timeout_s)
        metrics, told = Metrics(), Told()
        deployment = Deployment(settings, metrics)
        versions = Versions(FakeBackend(), metrics, deployment.check)
        inspector = Inspector(settings, deployment, versions, metrics, Threads(1), [told])

        async def ask(*images: bytes, **options: object) -> Answer:
            uploads = [Upload(None, 10**6) for _ in images]
            for upload, image in zip(uploads, images, strict=True):
                upload.write(image)
            deadline = asyncio.get_running_loop().time() + DEADLINE_S
            return await inspector.inspect(Inquiry(uploads, Options(**options), {}, deadline))

        async with versions.running():
            await scenario(ask, told)
            await inspector.stop()
        return told

    return lambda scenario, part_timeout_s=DEADLINE_S: asyncio.run(
        session(scenario, part_timeout_s)
    )


def test_takers_are_told_of_each_decision_by_the_id_of_its_answer(run, normal, defective):
    async def scenario(ask: Ask, told: Told) -> None:
        answer = await ask(normal, b"no image", defective, line="press")
        ids = [answer.results[0].inspection, answer.results[2].inspection]
        assert [taken.record.id for taken in told.all] == ids

    assert [taken.record.line for taken in run(scenario).all] == ["press", "press"]


def test_takers_are_told_of_a_part_after_its_views(run, normal, defective):
    async def scenario(ask: Ask, told: Told) -> None:
        await ask(normal, part="4711", views=2, line="press")
        answer = await ask(defective, part="4711", views=2, line="press")
        part = told.all[-1]
        assert isinstance(part, DecidedPart)
        assert (part.line, part.decision) == ("press", answer.part)

    *views, part = run(scenario).all
    assert part.decision.inspections == [view.record.id for view in views]


def test_takers_are_told_of_a_part_whose_time_is_over(run, normal):
    async def scenario(ask: Ask, told: Told) -> None:
        await ask(normal, part="4711", views=2)
        await asyncio.wait_for(told.part.wait(), 20)

    _, part = run(scenario, part_timeout_s=0.01).all
    assert part.decision.decision == "incomplete"


def test_takers_are_told_of_parts_that_wait_at_the_end(run, normal):
    async def scenario(ask: Ask, _told: Told) -> None:
        await ask(normal, part="4711", views=2)

    _, part = run(scenario).all
    assert part.decision.decision == "incomplete"
