import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from onegauge.export.publish import add_version
from onegauge.service.app import create_app
from onegauge.service.errors import BackendFailed
from onegauge.service.model.backends.embedded import Compiled, EmbeddedBackend
from onegauge.service.model.backends.onnx import compile_model
from onegauge.service.model.contract import Contract
from onegauge.service.model.repository import read_config
from onegauge.service.settings import Settings
from rig.publishing import add_and_publish
from tests.line import wait_until
from tests.service.fake_backend import FakeBackend, FakeModel
from tests.service.inspection.masked import post as post_masked
from tests.service.inspection.masked import white
from tests.service.served import in_process

COMPARED = "onegauge_shadow_score_difference_count "
SKIPPED = "onegauge_shadow_skipped_total "
PATIENCE_S = 60.0  # that a machine with other work keeps


class TwoVersions(FakeBackend):
    """Serves version 1; version 2 scores, fails, waits and sees images in a size of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.second = FakeBackend()
        self.parameters: dict[str, dict[str, str]] = {}
        self.cancelled_before_the_end = 0

    async def stop(self) -> None:
        """See whether what version 2 was asked is given up, perhaps by the thread that asks."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not (self.second.release.is_set() or self.second.cancelled):
                    await asyncio.sleep(0.01)
        self.cancelled_before_the_end = self.second.cancelled

    async def version(self, number: str) -> Contract:
        side = (self if number == "1" else self.second).side
        told = {"calibration_images": "99", **self.parameters.get(number, {})}
        return Contract("fake", number, side, side, 2, 2, 2, "onnxruntime", told)

    async def load(self, contract: Contract) -> FakeModel:
        return FakeModel(contract, self if contract.version == "1" else self.second)


def post(client: TestClient, *images: bytes, **options: object) -> dict:
    response = client.post("/inspect", files=[("image", i) for i in images], params=options)
    assert response.status_code == 200, response.text
    assert response.json()["model"]["version"] == "1"
    return response.json()


def value(client: TestClient, sample: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next((s for s in lines if s.startswith(sample)), "none 0").rpartition(" ")[2])


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shadow waits as the tests do; else images are left out beside other work."""
    monkeypatch.setattr("onegauge.service.inspection.shadow.TIMEOUT_S", PATIENCE_S)


@pytest.fixture
def backend() -> TwoVersions:
    return TwoVersions()


@pytest.fixture
def client(gateway, backend: TwoVersions) -> TestClient:
    return gateway(backend, shadow_version="2", shadow_share=1.0)


def test_agreement_and_difference_of_scores_are_counted(client, backend, normal):
    post(client, normal, normal)
    wait_until(lambda: value(client, COMPARED) == 2)
    assert value(client, 'onegauge_shadow_decisions_total{agreed="true"}') == 2
    backend.second.score = 1.5
    post(client, normal)
    wait_until(lambda: value(client, COMPARED) == 3)
    assert value(client, 'onegauge_shadow_decisions_total{agreed="false"}') == 1
    assert value(client, 'onegauge_shadow_score_difference_bucket{le="1.0"}') == 2


def test_it_decides_by_the_criterion_of_the_request(client, backend, normal):
    backend.second.score = 1.5
    post(client, normal, threshold=2)
    wait_until(lambda: value(client, COMPARED) == 1)
    assert value(client, 'onegauge_shadow_decisions_total{agreed="true"}') == 1


def test_no_answer_waits_for_it_and_requests_that_find_it_busy_are_left_out(
    client, backend, normal
):
    backend.second.release.clear()
    for _ in range(3):
        post(client, normal)
    assert value(client, SKIPPED) == 2
    backend.second.release.set()
    wait_until(lambda: value(client, COMPARED) == 1)


def test_share_of_requests_that_it_sees_is_the_setting(gateway, backend, normal):
    client = gateway(backend, shadow_version="2", shadow_share=1e-9)
    backend.second.release.clear()
    for _ in range(2):  # the second would find it busy with the first
        post(client, normal)
    assert value(client, SKIPPED) == 0
    backend.second.release.set()


def test_its_failure_is_nobody_elses(client, backend, normal):
    backend.second.error = BackendFailed("broken")
    post(client, normal, normal)
    wait_until(lambda: value(client, SKIPPED) == 1)
    backend.second.error = None
    post(client, normal)
    wait_until(lambda: value(client, COMPARED) == 1)


def test_its_unexpected_error_is_counted_and_the_next_request_compared(client, backend, normal):
    backend.second.error = RuntimeError("out of the blue")
    post(client, normal)
    wait_until(lambda: value(client, 'onegauge_background_failures_total{task="shadow"}') == 1)
    backend.second.error = None
    post(client, normal)
    wait_until(lambda: value(client, COMPARED) == 1)


def test_it_sees_images_in_its_own_size(gateway, backend, normal):
    backend.second.side = 16
    client = gateway(backend, shadow_version="2", shadow_share=1.0)
    post(client, normal)
    wait_until(lambda: value(client, COMPARED) == 1)


@pytest.mark.parametrize("tiled", ["1", "2"])
def test_a_model_of_tiles_is_compared_with_one_of_whole_pictures(gateway, backend, normal, tiled):
    pytest.importorskip("pyvips")
    backend.parameters[tiled] = {"tile_size": "48", "tile_overlap": "8"}
    client = gateway(backend, shadow_version="2", shadow_share=1.0)
    post(client, normal)
    wait_until(lambda: value(client, COMPARED) == 1)


def test_what_it_takes_is_in_no_other_metrics(client, normal):
    post(client, normal)
    wait_until(lambda: value(client, COMPARED) == 1)
    assert value(client, "onegauge_backend_batch_images_count") == 1
    assert value(client, 'onegauge_stage_duration_seconds_count{stage="infer"}') == 1
    assert value(client, 'onegauge_decisions_total{decision="normal",line="none"}') == 1


def test_images_without_a_decision_are_not_compared(client, normal):
    post(client, normal, b"no image", normal)
    wait_until(lambda: value(client, COMPARED) == 2)
    assert value(client, SKIPPED) == 0


def test_it_is_given_up_when_the_gateway_ends(gauge_repository, backend, normal):
    backend.second.release.clear()
    settings = Settings(repository=gauge_repository, shadow_version="2", shadow_share=1.0)
    with TestClient(create_app(settings, backend)) as client:
        post(client, normal)
        assert backend.second.entered.wait(PATIENCE_S)
    assert backend.cancelled_before_the_end == 1


@pytest.fixture
def repository(gauge_repository: Path, gauge_model: Path, tmp_path: Path) -> Path:
    """A gauge served as version 1, and version 2, a candidate."""
    config = read_config(gauge_repository / "onegauge", "config.pbtxt")
    add_and_publish(tmp_path, config, gauge_model)
    add_version(tmp_path, config, gauge_model)
    return tmp_path


def embedded(repository: Path, gauge_model: Path, **options: object) -> TestClient:
    """A gateway whose version 2 sees an anomaly on the right of everything."""
    run = compile_model(gauge_model, 1).alone

    def compiled(file: Path, _threads: int) -> Compiled:
        def found(images: np.ndarray) -> dict[str, np.ndarray]:
            seen = dict(run(images))
            if file.parent.name == "2":
                seen["anomaly_map"][:, :, 6:] = 3
                seen["score"] = np.full(len(images), 3, np.float32)
            return seen

        return Compiled(found, found, batching=False)

    settings = Settings(repository=repository, **options)
    return TestClient(create_app(settings, EmbeddedBackend(settings, compiled)))


def test_an_answer_is_the_same_as_without(repository, gauge_model, normal, defective):
    answers = []
    for shadow in ({}, {"shadow_version": "2", "shadow_share": 1.0}):
        with embedded(repository, gauge_model, **shadow) as client:
            answer = post(client, normal, defective)
            if shadow:
                wait_until(lambda: value(client, COMPARED) == 2)
        for result in answer["results"]:
            result.pop("timing_ms")
        answers.append(answer)
    assert answers[0] == answers[1]
    assert [r["score"] for r in answers[0]["results"]] == pytest.approx([0.3125, 1.8378906])


def test_under_a_mask_what_was_decided_is_compared(repository, gauge_model, defective):
    with embedded(repository, gauge_model, shadow_version="2", shadow_share=1.0) as client:
        answer = post_masked(client, defective, white(0, 0, 48, 64))
        assert answer.json()["results"][0]["decision"] == "normal"
        wait_until(lambda: value(client, COMPARED) == 1)
        assert value(client, 'onegauge_shadow_decisions_total{agreed="true"}') == 1
        assert value(client, 'onegauge_shadow_score_difference_bucket{le="0.02"}') == 1
        assert value(client, 'onegauge_shadow_score_difference_bucket{le="-0.02"}') == 0
        post(client, defective)
        wait_until(lambda: value(client, COMPARED) == 2)
        assert value(client, 'onegauge_shadow_score_difference_bucket{le="0.5"}') == 1


def test_a_shadow_need_not_explain(trained_repository, product_tree, tmp_path):
    repository = shutil.copytree(trained_repository, tmp_path / "repository")
    second = shutil.copytree(repository / "onegauge" / "1", repository / "onegauge" / "2")
    (second / "library.npz").unlink()
    image = (product_tree / "metal" / "test" / "good" / "0000.jpg").read_bytes()
    with in_process(repository, shadow_version="2", shadow_share=1.0) as client:
        assert post(client, image, explain=True)["results"][0]["explanation"]
        wait_until(lambda: value(client, COMPARED) == 1)


def test_a_shadow_that_takes_no_mask_is_left_out(gateway, backend, normal):
    rescoring = {"score_pixels": "1", "calibration_scores": "AAAAAA=="}
    backend.parameters["1"] = rescoring
    client = gateway(backend, shadow_version="2", shadow_share=1.0)
    assert post_masked(client, normal, white(0, 0, 48, 64)).status_code == 200
    wait_until(lambda: value(client, SKIPPED) == 1)
