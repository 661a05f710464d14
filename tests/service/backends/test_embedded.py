"""Both embedded backends, ONNX Runtime and OpenVINO, by the same tests."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event
from typing import TypeVar

import numpy as np
import pytest

from service.backends import Backend, Outputs, load_backend
from service.backends.embedded import EmbeddedBackend
from service.errors import BackendTimeout, ContractError, UnpromisedRate
from service.settings import Settings

T = TypeVar("T")


@pytest.fixture(params=["onnx", "openvino"])
def settings(request: pytest.FixtureRequest, gauge_repository: Path) -> Settings:
    return Settings(backend=request.param, repository=gauge_repository, inference_threads=1)


def running(backend: Backend, use: Callable[[Backend], Awaitable[T]]) -> T:
    """Use a backend between its start and its stop."""

    async def session() -> T:
        await backend.start()
        try:
            return await use(backend)
        finally:
            await backend.stop()

    return asyncio.run(session())


def levels(*greys: int) -> np.ndarray:
    """Images of uniform grey (B, 32, 48, 3)."""
    return np.array(greys, np.uint8)[:, None, None, None].repeat(32, 1).repeat(48, 2).repeat(3, 3)


def test_runs_the_graph(settings):
    outputs: Outputs = running(load_backend(settings), lambda b: b.infer(levels(0, 128, 192)))
    np.testing.assert_allclose(outputs.score, [0, 1, 1.5], atol=1e-6)
    np.testing.assert_allclose(outputs.p_value, [1.01, 0.01, 0.01], atol=1e-6)
    np.testing.assert_allclose(outputs.raw_score, [0, 2, 3], atol=1e-6)
    np.testing.assert_allclose(outputs.normal_location, 0)
    np.testing.assert_allclose(outputs.normal_scale, 2)
    np.testing.assert_allclose(outputs.novelty, 0)
    assert outputs.anomaly_map.shape == (3, 8, 12)
    np.testing.assert_allclose(outputs.anomaly_map[2], 1.5, atol=1e-6)


def test_outputs_stay_when_the_next_batch_runs(settings):
    async def two(backend: Backend) -> tuple[Outputs, Outputs]:
        return await backend.infer(levels(128)), await backend.infer(levels(0))

    first, second = running(load_backend(settings), two)
    assert (first.score[0], second.score[0]) == (1.0, 0.0)


def test_the_highest_version_is_served(settings, tmp_path):
    folder = tmp_path / "onegauge"
    shutil.copytree(settings.repository / "onegauge", folder)
    for version in ("2", "10"):
        shutil.copytree(folder / "1", folder / version)
    backend = load_backend(settings.model_copy(update={"repository": tmp_path}))
    assert asyncio.run(backend.contract()).version == "10"


def test_missing_model_is_named(settings, tmp_path):
    with pytest.raises(ContractError, match=str(tmp_path / "onegauge")):
        load_backend(settings.model_copy(update={"repository": tmp_path}))


def test_missing_version_is_named(settings, tmp_path):
    shutil.copytree(settings.repository / "onegauge", tmp_path / "onegauge")
    (tmp_path / "onegauge" / "1" / "model.onnx").unlink()
    with pytest.raises(ContractError, match="1/model.onnx does not exist"):
        load_backend(settings.model_copy(update={"repository": tmp_path}))


def test_damaged_model_is_named(settings, tmp_path):
    shutil.copytree(settings.repository / "onegauge", tmp_path / "onegauge")
    (tmp_path / "onegauge" / "1" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ContractError, match="cannot load .*model.onnx"):
        load_backend(settings.model_copy(update={"repository": tmp_path}))


def test_model_that_cannot_hold_the_rate_of_the_settings_is_not_served(settings):
    load_backend(settings.model_copy(update={"max_false_alarm_rate": 0.01}))
    with pytest.raises(UnpromisedRate, match="ONEGAUGE_MAX_FALSE_ALARM_RATE"):
        load_backend(settings.model_copy(update={"max_false_alarm_rate": 0.001}))


def test_start_runs_the_smallest_and_the_largest_batch(gauge_repository):
    ran: list[int] = []

    def note(images: np.ndarray) -> dict[str, np.ndarray]:
        ran.append(len(images))
        return zeros(len(images))

    backend = EmbeddedBackend(Settings(repository=gauge_repository), lambda *_: note)
    running(backend, lambda b: b.ready())
    assert ran == [1, 4]


def test_no_answer_in_time_is_a_timeout(gauge_repository):
    release = Event()

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        if images.any():
            release.wait(5)
        return zeros(len(images))

    settings = Settings(repository=gauge_repository, inference_timeout=0.05)
    backend = EmbeddedBackend(settings, lambda *_: run)
    with pytest.raises(BackendTimeout, match="0.05 s"):
        running(backend, lambda b: b.infer(levels(9)))
    release.set()


def test_not_ready_while_a_late_batch_holds_the_worker(gauge_repository):
    release = Event()

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        if images.any():
            release.wait(10)
        return zeros(len(images))

    async def hang_and_recover(backend: Backend) -> None:
        for _ in range(2):  # the second batch never leaves the queue
            with pytest.raises(BackendTimeout):
                await backend.infer(levels(9))
            with pytest.raises(BackendTimeout, match="more than"):
                await backend.ready()
        release.set()
        await backend.infer(levels(0))
        await backend.ready()

    settings = Settings(repository=gauge_repository, inference_timeout=0.5)
    running(EmbeddedBackend(settings, lambda *_: run), hang_and_recover)


def zeros(batch_size: int) -> dict[str, np.ndarray]:
    scalars = ("score", "p_value", "raw_score", "normal_location", "normal_scale", "novelty")
    flat = {name: np.zeros(batch_size, np.float32) for name in scalars}
    return flat | {"anomaly_map": np.zeros((batch_size, 8, 12), np.float32)}
