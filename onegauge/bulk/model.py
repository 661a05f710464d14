"""The version of a model that is served, as it travels to the machines of a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from onegauge.bulk.errors import BulkError
from onegauge.service.errors import ContractError
from onegauge.service.model.contract import Contract
from onegauge.service.model.repository import (
    CONFIG,
    CONSTANTS,
    VERIFICATION,
    StoredVersion,
    served_version,
    stored_version,
)


@dataclass(frozen=True)
class Published:
    """A version by its contract and its files, so that only the driver needs the repository."""

    contract: Contract
    files: Mapping[str, bytes]

    @classmethod
    def served(cls, repository: Path, name: str) -> Self:
        """That of a repository; raises BulkError."""
        folder = repository / name
        try:
            version = served_version(folder).contract.version
            stored = stored_version(folder, version)
            others = (CONSTANTS, CONFIG, VERIFICATION)
            present = [stored.model_file(), *map(stored.folder.joinpath, others)]
            files = {file.name: file.read_bytes() for file in present if file.exists()}
        except ContractError as exc:
            raise BulkError(f"{folder} cannot be used: {exc}") from exc
        return cls(stored.contract, files)

    def unpacked(self, folder: Path) -> StoredVersion:
        """The version again, in a folder; raises ContractError."""
        home = folder / self.contract.name / self.contract.version
        home.mkdir(parents=True)
        for name, data in self.files.items():
            (home / name).write_bytes(data)
        return stored_version(home.parent, home.name)
