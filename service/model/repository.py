"""The versions of a model in a repository, as `onegauge export` writes them.

    onegauge/             one model
    ├── config.pbtxt      of the version that is served, which its version policy names
    ├── 1/                one version, never changed: model.onnx, its constants in
    │                     model.onnx.data, its own config.pbtxt, verification.npz and, where
    │                     it keeps one, library.npz
    └── 2/

One file says what is served, so that a version is changed, forth or back, by replacing it.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from onegauge.service.errors import ContractError
from onegauge.service.model.contract import Contract, parse_config
from onegauge.service.model.messages import ModelConfig

CONFIG, MODEL, VERIFICATION = "config.pbtxt", "model.onnx", "verification.npz"
CONSTANTS = f"{MODEL}.data"  # earlier versions have them in the graph


@dataclass(frozen=True)
class Verification:
    """Images uint8 (K, H, W, 3) and what the graph says of them at its export, float32 (K,)."""

    images: NDArray[np.uint8]
    score: NDArray[np.float32]
    novelty: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write the file of a version."""
        np.savez_compressed(path, images=self.images, score=self.score, novelty=self.novelty)


@dataclass(frozen=True)
class StoredVersion:
    """One version of a model on disk."""

    contract: Contract
    folder: Path

    def model_file(self) -> Path:
        """The graph; raises ContractError when it is not the one that was published."""
        try:
            digest = model_digest(self.folder)
        except OSError as exc:
            raise _unreadable(self._name(MODEL), exc) from exc
        if digest != self.contract.parameters.get("model_digest", digest):
            raise ContractError(
                f"{self._name(MODEL)} is not the file that was published.", passing=True
            )
        return self.folder / MODEL

    def verification(self) -> Verification | None:
        """What to verify a runtime with, None where the version brings nothing."""
        try:
            # NumPy leaves a file open that it opened and finds damaged
            with (self.folder / VERIFICATION).open("rb") as file, np.load(file) as arrays:
                return Verification(arrays["images"], arrays["score"], arrays["novelty"])
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise _unreadable(self._name(VERIFICATION), exc) from exc
        except (ValueError, KeyError, EOFError, BadZipFile, zlib.error) as exc:
            raise ContractError(f"{self._name(VERIFICATION)} is damaged.", passing=True) from exc

    def _name(self, file: str) -> str:
        """A file as its name in the repository: where that lies is nobody's business."""
        return f"{self.contract.name}/{self.contract.version}/{file}"


def model_digest(folder: Path) -> str:
    """SHA-256 over the graph in a folder and its constants beside it; raises OSError."""
    total = sha256()
    for file in (folder / MODEL, *folder.glob(CONSTANTS)):
        with file.open("rb") as content:
            file_digest(content, lambda: total)
    return total.hexdigest()


def served_version(folder: Path) -> StoredVersion:
    """The version that a model's folder says is served; raises ContractError."""
    config = read_config(folder, CONFIG)
    try:
        version = chosen_version(config, stored_versions(folder))
    except OSError as exc:
        raise _unreadable(folder.name, exc) from exc
    return StoredVersion(Contract.from_config(config, version), folder / version)


def stored_version(folder: Path, version: str) -> StoredVersion:
    """A certain version, served or not; raises ContractError."""
    config = read_config(folder, f"{version}/{CONFIG}")
    return StoredVersion(Contract.from_config(config, version), folder / version)


def chosen_version(config: ModelConfig, present: Sequence[int]) -> str:
    """The version that a configuration says is served: the first of those it names, or the newest.

    Raises ContractError when there is none.
    """
    versions = [*config.version_policy.specific.versions, *sorted(present, reverse=True)]
    if not versions:
        raise ContractError(f"Model {config.name!r} has no version.")
    return str(versions[0])


def stored_versions(folder: Path) -> list[int]:
    """The numbers of all versions in a model's folder, in rising order; raises OSError."""
    return sorted(int(v.name) for v in folder.iterdir() if v.name.isdecimal())


def read_config(folder: Path, file: str) -> ModelConfig:
    """A configuration file in a model's folder; raises ContractError."""
    try:
        config = parse_config((folder / file).read_text(encoding="utf-8"))
    except OSError as exc:
        raise _unreadable(f"{folder.name}/{file}", exc) from exc
    except UnicodeDecodeError as exc:
        raise ContractError(f"{folder.name}/{file} is no text.") from exc
    config.name = config.name or folder.name
    return config


def _unreadable(name: str, error: OSError) -> ContractError:
    return ContractError(f"{name} cannot be read: {error.strerror or error}.", passing=True)
