import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from onegauge.service.errors import ContractError, InvalidOption
from onegauge.service.imaging.tiles import Tiling
from onegauge.service.inspection.explainer import Explainer
from onegauge.service.inspection.libraries import Libraries
from onegauge.service.model.contract import Contract
from onegauge.service.model.repository import served_version
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads
from tests.service.served import in_process

LIBRARY = Path("onegauge", "1", "library.npz")


@pytest.fixture
def repository(trained_repository: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained_repository, tmp_path / "repository")


@pytest.fixture
def contract(trained_repository: Path) -> Contract:
    return served_version(trained_repository / "onegauge").contract


def explainers(repository: Path, *contracts: Contract, then: Callable[[], None]) -> list[Explainer]:
    """What explains versions, one after the other; what happens `then`, after each."""

    async def ask() -> list[Explainer]:
        libraries, found = Libraries(Settings(repository=repository), Threads(1)), []
        for contract in contracts:
            found.append(await libraries.explainer(contract))
            then()
        return found

    return asyncio.run(ask())


def explainer(repository: Path, contract: Contract) -> Explainer:
    (found,) = explainers(repository, contract, then=lambda: None)
    return found


def test_a_library_is_read_once_for_a_version(repository, contract):
    def remove() -> None:
        (repository / LIBRARY).unlink(missing_ok=True)

    first, second = explainers(repository, contract, contract, then=remove)
    assert first is second
    assert len(first.origins) == 60


def test_another_version_has_its_own_library(repository, contract):
    shutil.copytree(repository / "onegauge" / "1", repository / "onegauge" / "2")
    other = replace(contract, version="2")
    first, second, third = explainers(repository, contract, other, contract, then=lambda: None)
    assert first is not second
    assert second is not third


def test_of_tiles_nothing_is_told(repository, contract):
    parameters = {**contract.parameters, **Tiling(64, 16).parameters()}
    with pytest.raises(InvalidOption, match=r"Version 1 of onegauge looks at tiles"):
        explainer(repository, replace(contract, parameters=parameters))


def test_repository_that_lacks_the_version_is_named_by_its_setting(repository, contract):
    for other in (repository.parent, repository):
        with pytest.raises(InvalidOption, match="ONEGAUGE_REPOSITORY"):
            explainer(other, replace(contract, version="2"))


def test_a_version_that_came_without_its_library_is_told(repository, contract):
    (repository / LIBRARY).unlink()
    with pytest.raises(InvalidOption, match=r"onegauge/1/library\.npz"):
        explainer(repository, contract)


def test_library_of_another_model_explains_nothing(repository, contract):
    parameters = {**contract.parameters, "model_digest": "of what Triton serves"}
    with pytest.raises(InvalidOption, match="ONEGAUGE_REPOSITORY"):
        explainer(repository, replace(contract, parameters=parameters))


def test_damage_is_the_fault_of_the_model(repository, contract):
    file = repository / LIBRARY
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ContractError, match=r"^onegauge/1/library\.npz is damaged") as raised:
        explainer(repository, contract)
    assert str(repository) not in raised.value.detail


def test_model_without_a_library_says_so_and_answers_all_else(gauge_repository, normal):
    with in_process(gauge_repository) as client:
        files = [("image", normal)]
        refused = client.post("/v1/inspect", files=files, params={"explain": True})
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-option")
        assert "keeps no library" in refused.json()["detail"]
        (found,) = client.post("/v1/inspect", files=files).json()["results"]
        assert (found["decision"], found["explanation"]) == ("normal", None)
