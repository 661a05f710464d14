"""The libraries of normal images beside the graphs of the repository, read when they are needed."""

import asyncio
from functools import partial
from pathlib import Path

from onegauge.library.errors import LibraryError
from onegauge.library.library import FILE, Library, load
from onegauge.service.errors import ContractError, InvalidOption
from onegauge.service.inspection.explainer import Explainer
from onegauge.service.model.contract import Contract
from onegauge.service.model.repository import stored_version
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads


class Libraries:
    """The normal images of a version, and what explains its answers; of the last one in memory."""

    def __init__(self, settings: Settings, threads: Threads) -> None:
        self._folder = settings.repository / settings.model
        self._threads = threads
        self._lock = asyncio.Lock()
        self._last: tuple[Contract, Library, Explainer] | None = None

    async def explainer(self, contract: Contract) -> Explainer:
        """What explains the answers of this version; raises as `library`."""
        return (await self._found(contract))[2]

    async def library(self, contract: Contract) -> Library:
        """The normal images that this version compares with.

        Raises InvalidOption where they cannot be had, and ContractError where they are damaged.
        """
        return (await self._found(contract))[1]

    async def _found(self, contract: Contract) -> tuple[Contract, Library, Explainer]:
        version = f"Version {contract.version} of {contract.name}"
        if contract.tiling:
            raise InvalidOption(f"{version} looks at tiles and cannot explain: leave explain out.")
        if not contract.explains:
            raise InvalidOption(
                f"{version} keeps no library of its normal images, as one of another detector than "
                "gallery, or of an older onegauge: export it anew, or leave explain out."
            )
        async with self._lock:
            if self._last is None or self._last[0] != contract:
                read = partial(_read, self._folder, contract)
                self._last = contract, *await self._threads.run(read)
            return self._last


def _read(folder: Path, contract: Contract) -> tuple[Library, Explainer]:
    name = f"{contract.name}/{contract.version}/{FILE}"
    if not _holds(folder, contract):
        raise InvalidOption(
            f"{name} is not in the repository of the gateway, or is another model's: have "
            "ONEGAUGE_REPOSITORY name the repository that is served, or leave explain out."
        )
    try:
        library = load(folder / contract.version / FILE)
    except LibraryError as exc:
        raise ContractError(f"{name} is damaged: export the model anew.") from exc
    return library, Explainer.of(library)


def _holds(folder: Path, contract: Contract) -> bool:
    """Whether a model's folder has the library of this very version."""
    try:
        stored = stored_version(folder, contract.version)
    except ContractError:
        return False
    digests = (c.parameters.get("model_digest") for c in (stored.contract, contract))
    return len({*digests}) == 1 and (stored.folder / FILE).is_file()
