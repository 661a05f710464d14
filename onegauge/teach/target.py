"""What is taught: a run, or a model in a repository, whose next version is made."""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import ModelProto

from onegauge.export.graph import constants_of, store
from onegauge.export.publish import add_version, publish
from onegauge.library.conformal import Calibrated
from onegauge.library.fit import Fit
from onegauge.library.library import FILE, Library, load
from onegauge.library.likeness import NEIGHBOURS
from onegauge.service.errors import ContractError
from onegauge.service.imaging.depth import Depth
from onegauge.service.imaging.tiles import Tiling
from onegauge.service.model.contract import Contract
from onegauge.service.model.repository import (
    CONFIG,
    MODEL,
    StoredVersion,
    Verification,
    model_digest,
    read_config,
    served_version,
)
from onegauge.teach.errors import TeachingError
from onegauge.training.config import FRESH

if TYPE_CHECKING:
    from onegauge.training.checkpoint import Checkpoint

RECORD = "checkpoint.json"  # where it is, a folder is a run
CALIBRATION = ("calibration.origin", "calibration.span", "calibration.scores")


@dataclass(frozen=True)
class Taught:
    """Another state of a gauge, verified."""

    model: ModelProto
    verification: Verification
    parameters: Mapping[str, str]  # of the configuration, that are others now
    fit: Fit | None = None  # None: the normal images are as they were


class Target(ABC):
    """A gauge that is taught."""

    library: Library
    keeps_library: bool
    known: frozenset[str]  # digests of the files that it was made of, as far as it tells
    image_size: int  # pixels, square
    tiling: Tiling | None
    depth: Depth
    promised: float | None  # the false-alarm rate, None where it does not say
    recalibrated: bool  # on fresh images, which it does not keep

    @abstractmethod
    def graph(self) -> ModelProto:
        """Its graph, anew at each call: callers change it."""

    def calibrated(self) -> Calibrated:
        """Its threshold; raises TeachingError for a graph that does not tell."""
        try:
            origin, span, scores = constants_of(self.graph(), CALIBRATION).values()
        except KeyError as exc:
            raise TeachingError(
                f"the graph is of an older onegauge, without the constant {exc}: export its run "
                "anew"
            ) from exc
        return Calibrated(np.float32(origin), np.float32(span), scores)

    @property
    def kept(self) -> Library | None:
        """Its normal images, if it keeps them."""
        return self.library if self.keeps_library else None

    def fit(self) -> Fit:
        """What follows from its library, at the threshold in force."""
        fit = Fit.of(self.library)
        return replace(fit, calibrated=self.calibrated()) if self.recalibrated else fit

    @abstractmethod
    def verification(self) -> Verification:
        """A few images that it is verified by."""

    @abstractmethod
    def keep(self, taught: Taught) -> str:
        """Keep another state; tells where."""


def target_of(folder: Path, name: str, *, candidate: bool = False) -> Target:
    """A run, or the served version of model `name` in a repository.

    What comes of a `candidate` is added there, but not served. Raises TeachingError where it is
    neither, or a run, of which there are no candidates.
    """
    if (folder / RECORD).is_file():
        if candidate:
            raise TeachingError(
                f"{folder} is a run, of which there are no candidates: export it with --candidate"
            )
        return Run(folder)
    try:
        return Published(folder, served_version(folder / name), candidate=candidate)
    except ContractError as exc:
        raise TeachingError(
            f"{folder} is neither a run nor a repository with a model {name!r}: {exc.detail}"
        ) from exc


class Published(Target):
    """The version of a model that is served."""

    def __init__(self, repository: Path, stored: StoredVersion, *, candidate: bool) -> None:
        """Raises TeachingError for a version that cannot be taught."""
        self.repository, self.stored, self._candidate = repository, stored, candidate
        contract = stored.contract
        precision = contract.parameters.get("precision", "fp32")
        config = read_config(stored.folder, CONFIG)
        if precision != "fp32" or config.HasField("optimization") or config.backend == "tensorrt":
            raise TeachingError(
                f"version {contract.version} of {contract.name} is made for one kind of processor "
                f"({config.backend}, {precision}): teach its run, and export that anew"
            )
        self.image_size, self.tiling, self.depth = contract.height, contract.tiling, contract.depth
        self.promised = contract.false_alarm_rate
        self.recalibrated = contract.parameters.get("calibration") == FRESH
        self.keeps_library = (stored.folder / FILE).exists()

    @property
    def known(self) -> frozenset[str]:  # type: ignore[override]
        """The digests of its normal images, if it keeps them."""
        return self.library.known if self.keeps_library else frozenset()

    @property
    def contract(self) -> Contract:
        """What the version takes and promises."""
        return self.stored.contract

    @cached_property
    def library(self) -> Library:  # type: ignore[override]
        """Its normal images; raises LibraryError."""
        return load(self.stored.folder / FILE)

    def graph(self) -> ModelProto:
        """Its graph."""
        return onnx.load(self.stored.model_file())

    def verification(self) -> Verification:
        """The images of the version."""
        found = self.stored.verification()
        if found is None:
            raise TeachingError(f"{self.stored.folder} has no images to verify a next version by")
        return found

    def keep(self, taught: Taught) -> str:
        """Add the next version, and have it served unless it is a candidate."""
        folder = self.repository / self.contract.name
        config = read_config(folder, f"{self.contract.version}/{CONFIG}")
        with tempfile.TemporaryDirectory() as scratch:
            file = store(taught.model, Path(scratch))
            told = {**taught.parameters, "model_digest": model_digest(file.parent)}
            told["parent_version"] = self.contract.version
            for name, value in told.items():
                config.parameters[name].string_value = value
            library = self.kept if taught.fit is None else taught.fit.library
            version = add_version(
                self.repository, config, file, taught.verification, library=library
            )
        if self._candidate:
            return f"added {folder / str(version)}"
        publish(self.repository, config.name, version)
        return f"published {folder / str(version)}"


class Run(Target):
    """A run, which torch reads: it is changed in its place."""

    def __init__(self, folder: Path) -> None:
        """Raises CheckpointError, and TeachingError for a run that keeps no library."""
        from onegauge.training.checkpoint import load as load_run

        self.folder, self.checkpoint = folder, load_run(folder)
        config = self.checkpoint.config
        self.image_size, self.tiling = config.image_size, config.tiling
        self.depth = self.checkpoint.depth
        self.promised = self.checkpoint.false_alarm_rate
        self.recalibrated = self.checkpoint.recalibrated
        self.keeps_library = self.checkpoint.keeps_library

    @property
    def known(self) -> frozenset[str]:  # type: ignore[override]
        """The digests of its normal images, and without a library of those calibrated on."""
        if self.keeps_library:
            return self.library.known
        pictures = {*self.checkpoint.evidence.pictures.tolist()}
        return frozenset(self.checkpoint.origins[picture].digest for picture in pictures)

    @cached_property
    def library(self) -> Library:  # type: ignore[override]
        """Its normal images; raises TeachingError where it compares with none."""
        config = self.checkpoint.config
        if not self.keeps_library:
            raise TeachingError(
                f"{self.folder} has the detector {config.detector}, the alignment "
                f"{config.alignment} and {len(self.checkpoint.evidence.references)} references: "
                f"images come and go without training in runs of gallery and cada with {NEIGHBOURS}"
                " references at least; train it anew with all images"
            )
        return self.checkpoint.library()

    def graph(self) -> ModelProto:
        """Its graph, traced once."""
        return onnx.load_model_from_string(self._traced)

    @cached_property
    def _traced(self) -> bytes:
        from onegauge.export.to_onnx import trace

        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / MODEL
            trace(self.checkpoint.gauge(), self.image_size, file)
            return file.read_bytes()

    def verification(self) -> Verification:
        """The images that its export is verified on; what they score is not kept."""
        from onegauge.training.checkpoint import load_verification_images

        images = load_verification_images(self.folder).numpy()
        return Verification(images, *(np.zeros(len(images), np.float32) for _ in range(2)))

    def keep(self, taught: Taught) -> str:
        """Write the run anew."""
        rewrite(self._changed(taught))
        return f"changed {self.folder}"

    def _changed(self, taught: Taught) -> Checkpoint:
        import torch

        from onegauge.training.gauge.gauge import DECIDED

        values = constants_of(taught.model, DECIDED)
        decided = {name: torch.from_numpy(value.copy()) for name, value in values.items()}
        changed = replace(
            self.checkpoint,
            decided=decided,
            calibrated_at=int(time.time()),
            recalibrated=taught.fit is None,
        )
        return changed if taught.fit is None else changed.with_library(taught.fit.library)


def rewrite(checkpoint: Checkpoint) -> None:
    """Write a run anew beside its folder, and have it take the folder's place."""
    from onegauge.training.checkpoint import load_verification_images, save

    folder = checkpoint.config.out
    images = load_verification_images(folder)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        save(checkpoint, images, new)
        folder.rename(old)
        new.rename(folder)
