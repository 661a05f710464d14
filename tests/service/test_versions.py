import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.errors import BackendError, BackendUnavailable, ContractError
from service.metrics import Metrics
from service.versions import Versions
from tests.service.fake_backend import FakeBackend


def running(
    backend: FakeBackend, use: Callable[[Versions], Awaitable[None]], shadow: str | None = None
) -> str:
    """The metrics after `use` of versions that follow the backend."""
    metrics = Metrics()

    async def session() -> None:
        versions = Versions(backend, metrics, shadow)
        async with versions.running():
            await use(versions)

    asyncio.run(session())
    return metrics.exposition().decode()


def test_another_version_is_noticed_by_itself():
    backend = FakeBackend()

    async def swap(versions: Versions) -> None:
        assert versions.current().contract.version == "1"
        backend.serving = "2"
        async with asyncio.timeout(5):
            while versions.current().contract.version != "2":
                await asyncio.sleep(0.01)

    assert "onegauge_model_info{" in running(backend, swap)


def test_version_that_cannot_be_loaded_is_refused_and_the_old_one_stays():
    backend = FakeBackend()

    async def swap(versions: Versions) -> None:
        old = versions.current()
        backend.serving, backend.unloadable = "2", ContractError("it is broken")
        await versions.refresh()
        assert versions.current() is await versions.ready() is old
        assert versions.refused is not None
        assert (versions.refused.version, versions.refused.detail) == ("2", "it is broken")

    assert 'onegauge_model_refused{version="2"} 1.0' in running(backend, swap)


def test_refusal_ends_with_the_next_good_version():
    backend = FakeBackend()

    async def mend(versions: Versions) -> None:
        backend.serving, backend.unloadable = "2", ContractError("it is broken")
        await versions.refresh()
        backend.serving, backend.unloadable = "3", None
        await versions.refresh()
        assert versions.refused is None
        assert versions.current().contract.version == "3"

    assert "onegauge_model_refused{" not in running(backend, mend)


def test_broken_version_is_tried_once_not_every_second():
    backend = FakeBackend()
    tried = 0

    async def count(_contract: object) -> None:
        nonlocal tried
        tried += 1
        raise ContractError("it is broken")

    async def look(versions: Versions) -> None:
        backend.serving, backend.load = "2", count
        for _ in range(3):
            await versions.refresh()

    running(backend, look)
    assert tried == 1


def test_backend_that_comes_late_is_taken_when_it_comes():
    backend = FakeBackend()
    backend.away = BackendUnavailable("not there yet")

    async def come(versions: Versions) -> None:
        with pytest.raises(BackendUnavailable, match="not there yet"):
            versions.current()
        backend.away = None
        async with asyncio.timeout(5):
            while True:
                try:
                    assert versions.current().contract.version == "1"
                except BackendError:
                    await asyncio.sleep(0.01)
                else:
                    return

    running(backend, come)


def test_backend_that_goes_leaves_the_version_for_its_return():
    backend = FakeBackend()

    async def go(versions: Versions) -> None:
        old = versions.current()
        backend.away = BackendUnavailable("gone")
        await versions.refresh()
        with pytest.raises(BackendUnavailable, match="gone"):
            await versions.ready()
        backend.away = None
        assert await versions.ready() is old

    running(backend, go)


def test_shadow_is_the_version_of_the_settings():
    async def look(versions: Versions) -> None:
        assert versions.shadow is not None
        assert versions.shadow.contract.version == "7"

    running(FakeBackend(), look, shadow="7")
