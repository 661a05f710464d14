import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from onegauge.export.publish import publish
from onegauge.service.errors import (
    BackendError,
    BackendOverloaded,
    BackendTimeout,
    BackendUnavailable,
    ContractError,
    LoadFailed,
    UnpromisedRate,
)
from onegauge.service.inspection.versions import Versions
from onegauge.service.model.backends import load_backend
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Backend, Refusal
from onegauge.service.model.repository import Verification, model_digest
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from tests.service.fake_backend import FakeBackend


def running(
    backend: Backend,
    use: Callable[[Versions], Awaitable[None]],
    shadow: str | None = None,
    check: Callable[[Contract], None] = lambda _contract: None,
) -> str:
    """The metrics after `use` of versions that follow the backend."""
    metrics = Metrics()

    async def session() -> None:
        versions = Versions(backend, metrics, check, shadow)
        async with versions.running():
            await use(versions)

    asyncio.run(session())
    return metrics.exposition().decode()


async def until(fulfilled: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not fulfilled():
            await asyncio.sleep(0.01)


def test_another_version_is_noticed_by_itself():
    backend = FakeBackend()

    async def swap(versions: Versions) -> None:
        assert versions.current().contract.version == "1"
        backend.serving = "2"
        await until(lambda: versions.current().contract.version == "2")

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


@pytest.mark.parametrize("passing", [False, True], ids=["broken", "being copied"])
def test_version_that_cannot_be_loaded_is_not_tried_at_each_look(monkeypatch, passing):
    monkeypatch.setattr("onegauge.service.inspection.versions.FOLLOW_S", 60)
    backend = FakeBackend()
    tried = 0

    async def count(_contract: object) -> None:
        nonlocal tried
        tried += 1
        raise ContractError("it is broken", passing=passing)

    async def look(versions: Versions) -> None:
        backend.serving, backend.load = "2", count
        for _ in range(5):
            await versions.refresh()

    running(backend, look)
    assert tried == 1


def test_a_version_that_cannot_hold_the_criterion_waits_until_there_is_another():
    backend = FakeBackend()
    loaded, holding = [], [True, True]
    load = backend.load

    async def count(contract: Contract) -> object:
        loaded.append(contract.version)
        return await load(contract)

    def check(contract: Contract) -> None:
        if not holding[contract.version == "2"]:
            raise UnpromisedRate("too few images")

    async def publish_then_save(versions: Versions) -> None:
        backend.serving, backend.load, holding[True] = "2", count, False
        await versions.refresh()
        assert versions.current().contract.version == "1"
        assert versions.refused == Refusal("2", "too few images")
        assert loaded == []
        holding[:] = False, True
        await until(lambda: not versions.refused)
        assert versions.current().contract.version == "2"

    running(backend, publish_then_save, check=check)


def test_a_first_version_is_served_even_where_it_cannot_hold_the_criterion():
    def check(_contract: Contract) -> None:
        raise UnpromisedRate("too few images")

    async def look(versions: Versions) -> None:
        assert versions.current().contract.version == "1"

    running(FakeBackend(), look, check=check)


def test_going_back_from_a_refused_version_loads_nothing_and_clears_it():
    backend = FakeBackend()

    async def back(versions: Versions) -> None:
        old = versions.current()
        backend.serving, backend.unloadable = "2", ContractError("it is broken")
        await versions.refresh()
        backend.serving = "1"
        await versions.refresh()
        assert versions.refused is None
        assert versions.current() is old

    assert "onegauge_model_info{" in running(backend, back)


def test_refusal_of_the_server_is_told_until_a_reload_goes_well():
    backend = FakeBackend()
    refusal = Refusal("2", "it is broken")

    async def mend(versions: Versions) -> None:
        async def refuse() -> Refusal | None:
            return refusal

        async def accept() -> None: ...

        backend.reload = refuse
        with pytest.raises(LoadFailed, match="Version 2 was refused.*it is broken"):
            await versions.reload()
        await versions.refresh()
        assert versions.refused == refusal, "the server still names the old version"
        backend.reload = accept
        await versions.reload()
        assert versions.refused is None

    assert "onegauge_model_refused{" not in running(backend, mend)


def test_reload_tries_a_refused_version_again():
    backend = FakeBackend()

    async def again(versions: Versions) -> None:
        backend.serving, backend.unloadable = "2", ContractError("it is broken")
        with pytest.raises(LoadFailed):
            await versions.reload()
        with pytest.raises(LoadFailed):
            await versions.reload()
        backend.unloadable = None
        await versions.reload()
        assert versions.current().contract.version == "2"

    running(backend, again)


@pytest.mark.parametrize("error", [BackendTimeout, BackendOverloaded, BackendUnavailable])
def test_backend_that_is_busy_says_nothing_about_the_version(error):
    backend = FakeBackend()

    async def later(versions: Versions) -> None:
        backend.serving, backend.unloadable = "2", error("busy")
        await versions.refresh()
        assert versions.refused is None
        backend.unloadable = None
        await versions.refresh()
        assert versions.current().contract.version == "2"

    running(backend, later)


def test_configuration_that_cannot_be_read_is_a_refusal():
    backend = FakeBackend()

    async def damage(versions: Versions) -> None:
        old = versions.current()
        backend.away = ContractError("config.pbtxt is damaged")
        await versions.refresh()
        assert versions.current() is old
        assert versions.refused.detail == "config.pbtxt is damaged"

    running(backend, damage)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at what is served much more often than every second."""
    monkeypatch.setattr("onegauge.service.inspection.versions.FOLLOW_S", 0.01)


@pytest.mark.usefixtures("often")
def test_no_error_ends_the_following():
    backend = FakeBackend()
    served, left = backend.served, [RuntimeError("out of the blue"), OSError("stale"), KeyError(1)]

    async def surprising() -> Contract:
        if left:
            raise left.pop()
        return await served()

    async def go_on(versions: Versions) -> None:
        backend.served, backend.serving = surprising, "2"
        await until(lambda: versions.current().contract.version == "2")

    found = running(backend, go_on)
    assert 'onegauge_background_failures_total{task="versions"} 3.0' in found


@pytest.mark.usefixtures("often")
def test_refusal_of_what_could_not_be_read_ends_when_it_can():
    backend = FakeBackend()

    async def pass_by(versions: Versions) -> None:
        old = versions.current()
        backend.away = ContractError("config.pbtxt is half there")
        await until(lambda: versions.refused is not None)
        backend.away = None
        await until(lambda: versions.refused is None)
        assert versions.current() is old

    assert "onegauge_model_refused{" not in running(backend, pass_by)


def test_reload_cannot_help_what_cannot_be_read():
    backend = FakeBackend()

    async def reload(versions: Versions) -> None:
        backend.away = ContractError("config.pbtxt is half there")
        for _ in range(2):
            with pytest.raises(LoadFailed, match="config.pbtxt is half there"):
                await versions.reload()

    assert 'onegauge_model_refused{version="unknown"} 1.0' in running(backend, reload)


def test_refusal_from_before_outlives_what_could_not_be_read():
    backend = FakeBackend()

    async def pass_by(versions: Versions) -> None:
        backend.serving, backend.unloadable = "2", ContractError("it is broken")
        await versions.refresh()
        backend.away = ContractError("config.pbtxt is half there")
        await versions.refresh()
        assert versions.refused.version == "unknown"
        backend.away = None
        await versions.refresh()
        assert versions.refused == Refusal("2", "it is broken")

    assert 'onegauge_model_refused{version="2"} 1.0' in running(backend, pass_by)


def test_a_version_is_refused_before_there_was_any_and_reload_tries_it_again():
    backend = FakeBackend()
    backend.unloadable = ContractError("it is broken")

    async def again(versions: Versions) -> None:
        assert versions.refused.version == "1"
        backend.unloadable = None
        await versions.reload()
        assert versions.current().contract.version == "1"

    assert "onegauge_model_refused{" not in running(backend, again)


@pytest.fixture
def copied(gauge_repository: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A model's folder that serves version 1, and what it becomes: version 2 is served."""
    folders = tmp_path / "repository" / "onegauge", tmp_path / "whole" / "onegauge"
    for folder in folders:
        shutil.copytree(gauge_repository / "onegauge", folder)
    shutil.copytree(folders[1] / "1", folders[1] / "2")
    (folders[1] / "2" / "model.onnx.data").write_bytes(b"constants")
    digest = model_digest(folders[1] / "2")
    with (folders[1] / "2" / "config.pbtxt").open("a") as config:
        config.write(f'parameters {{ key: "model_digest" value {{ string_value: "{digest}" }} }}')
    images, zero = np.zeros((1, 32, 48, 3), np.uint8), np.zeros(1, np.float32)
    Verification(images, zero, zero).save(folders[1] / "2" / "verification.npz")
    publish(tmp_path / "whole", "onegauge", 2)
    return folders


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("config.pbtxt", half),
        ("config.pbtxt", None),
        ("2/model.onnx", half),
        ("2/model.onnx", None),
        ("2/model.onnx.data", half),
        ("2/model.onnx.data", None),
        ("2/verification.npz", half),
    ],
)
def test_version_whose_files_are_still_being_copied_is_served_once_they_are(copied, file, damage):
    folder, whole = copied
    backend = load_backend(Settings(repository=folder.parent, inference_threads=1))
    content = (whole / file).read_bytes()

    async def copy(versions: Versions) -> None:
        (folder / "config.pbtxt").unlink()
        shutil.copytree(whole / "2", folder / "2")
        (folder / file).unlink(missing_ok=True)
        if damage:
            (folder / file).write_bytes(damage(content))
        if file != "config.pbtxt":
            shutil.copy(whole / "config.pbtxt", folder)
        await until(lambda: versions.refused is not None)
        assert versions.current().contract.version == "1"
        (folder / file).write_bytes(content)
        await until(lambda: versions.current().contract.version == "2")
        assert versions.refused is None

    assert "onegauge_model_refused{" not in running(backend, copy)


def test_backend_that_comes_late_is_taken_when_it_comes():
    backend = FakeBackend()
    backend.away = BackendUnavailable("not there yet")

    async def come(versions: Versions) -> None:
        with pytest.raises(BackendUnavailable, match="not there yet"):
            versions.current()
        backend.away = None
        async with asyncio.timeout(20):
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


@pytest.mark.usefixtures("often")
def test_shadow_that_comes_later_is_waited_for_and_a_bad_one_is_not(caplog):
    class Late(FakeBackend):
        error_of_shadow: BackendError | None = BackendUnavailable("not loaded")
        asked = 0

        async def version(self, number: str) -> Contract:
            if number == "7":
                self.asked += 1
                if self.error_of_shadow:
                    raise self.error_of_shadow
            return await super().version(number)

    late, bad = Late(), Late()
    bad.error_of_shadow = ContractError("not a gauge")

    async def wait(versions: Versions) -> None:
        assert versions.shadow is None
        await versions.refresh()
        assert late.asked == 2
        late.error_of_shadow = None
        await versions.refresh()
        assert versions.shadow is not None

    async def give_up(versions: Versions) -> None:
        await versions.refresh()
        assert versions.shadow is None
        assert bad.asked == 1

    half_copied = Late()
    half_copied.error_of_shadow = ContractError("it cannot be read", passing=True)

    async def wait_for_files(versions: Versions) -> None:
        half_copied.error_of_shadow = None
        await until(lambda: versions.shadow is not None)

    running(late, wait, shadow="7")
    running(half_copied, wait_for_files, shadow="7")
    running(bad, give_up, shadow="7")
    assert [r.message for r in caplog.records].count("shadow refused") == 3
