import asyncio

import numpy as np

from service.contract import Contract
from service.decision import Criterion
from service.errors import BackendFailed
from service.metrics import Metrics
from service.shadow import Shadow
from tests.service.fake_backend import FakeBackend, FakeModel

BATCH = np.zeros((2, 8, 8, 3), np.uint8)


def compared(backend: FakeBackend, share: float = 1.0, times: int = 1) -> list[str]:
    """The metrics after a normal batch was compared with what `backend` says of it."""
    metrics = Metrics()

    async def scenario() -> None:
        contract: Contract = await backend.version("2")
        answered = await FakeModel(contract, FakeBackend()).infer(BATCH, 0)
        shadow = Shadow(share, metrics)
        for _ in range(times):
            shadow.compare(FakeModel(contract, backend), BATCH, answered, Criterion())
        others = asyncio.all_tasks() - {asyncio.current_task()}
        backend.release.set()
        await asyncio.gather(*others)

    asyncio.run(scenario())
    return metrics.exposition().decode().splitlines()


def test_agreement_and_difference_of_scores_are_counted():
    assert 'onegauge_shadow_decisions_total{agreed="true"} 2.0' in compared(FakeBackend())
    stricter = FakeBackend()
    stricter.score = 1.5
    found = compared(stricter)
    assert 'onegauge_shadow_decisions_total{agreed="false"} 2.0' in found
    assert 'onegauge_shadow_score_difference_bucket{le="1.0"} 0.0' in found
    assert "onegauge_shadow_score_difference_count 2.0" in found


def test_requests_that_find_it_busy_are_left_out():
    slow = FakeBackend()
    slow.release.clear()
    assert "onegauge_shadow_skipped_total 2.0" in compared(slow, times=3)


def test_share_of_requests_that_it_sees_is_the_setting():
    assert "onegauge_shadow_score_difference_count 0.0" in compared(FakeBackend(), share=0.0)


def test_its_failure_is_nobody_elses():
    broken = FakeBackend()
    broken.error = BackendFailed("broken")
    assert "onegauge_shadow_skipped_total 1.0" in compared(broken)


def test_answers_of_the_gateway_are_those_of_the_served_version(gateway, normal):
    backend = FakeBackend()
    client = gateway(backend, shadow_version="2", shadow_share=1.0)
    for _ in range(3):
        response = client.post("/inspect", files=[("image", normal)])
        assert response.json()["model"]["version"] == "1"
    assert 'onegauge_shadow_decisions_total{agreed="true"}' in client.get("/metrics").text
    assert "2" in backend.answered_by
