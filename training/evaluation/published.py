"""A published model asked about labelled images: the very file that is served, as it decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onegauge.service.errors import ContractError
from onegauge.service.model.contract import Contract
from onegauge.service.model.repository import (
    CONFIG,
    MODEL,
    StoredVersion,
    served_version,
    stored_version,
)
from onegauge.training.data.dataset import TestImage
from onegauge.training.errors import DataError
from onegauge.training.evaluation.readings import Infer, Intake, Subject, ask, whole_pictures
from onegauge.training.progress import Progress


def published_model(folder: Path) -> Path | None:
    """The folder of a model or of one version: this one, or the only model of this repository.

    None if there is none.

    Raises DataError for a repository of several.
    """
    if (folder / CONFIG).is_file():
        return folder
    models = sorted(config.parent for config in folder.glob(f"*/{CONFIG}"))
    if len(models) > 1:
        names = ", ".join(model.name for model in models)
        raise DataError(f"{folder} has several models: name one of {names}, as {models[0]}")
    return models[0] if models else None


def evaluate_published(model: Path, images: Sequence[TestImage], progress: Progress) -> Subject:
    """A version, by default the served one, in ONNX Runtime.

    Raises DataError for one that is damaged or not of ours.
    """
    try:
        stored = _stored(model.resolve())
        contract, alpha = stored.contract, _false_alarm_rate(stored.contract)
        infer = _load(stored.model_file())
    except ContractError as exc:
        raise DataError(f"{model} cannot be evaluated: {exc}") from exc
    intake = Intake(contract.height, contract.tiling, contract.depth)
    said = ask(images, intake, infer, progress)
    timing = {"time for an image": f"{said.milliseconds:.0f} ms in ONNX Runtime"}
    return Subject(
        str(model),
        contract.parameters.get("alignment", ""),
        alpha,
        1.0,
        contract.calibration_images,
        {"version": contract.version, **contract.told, **timing},
        whole_pictures(said.images, said.cuts, said.outputs, intake),
    )


def _stored(folder: Path) -> StoredVersion:
    """The version of a folder, or the one that a model's folder says is served."""
    if (folder / MODEL).is_file():
        return stored_version(folder.parent, folder.name)
    return served_version(folder)


def _false_alarm_rate(contract: Contract) -> float:
    if contract.false_alarm_rate is None:
        raise ContractError(f"Model {contract.name!r} does not say which false-alarm rate it has.")
    return contract.false_alarm_rate


def _load(model_file: Path) -> Infer:
    from onegauge.service.model.backends.onnx import compile_model

    return compile_model(model_file, threads=0).alone
