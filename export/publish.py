"""A Triton model repository: one config.pbtxt per model, one folder per version."""

import os
import re
import shutil
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import (
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelParameter,
    ModelQueuePolicy,
    ModelTensorReshape,
    ModelWarmup,
)

from onegauge.export.errors import RepositoryError
from onegauge.library.library import FILE as LIBRARY
from onegauge.library.library import Library
from onegauge.service.errors import ContractError
from onegauge.service.model.contract import ANOMALY_MAP, EXPLAINING, IMAGE, SCALARS
from onegauge.service.model.repository import (
    CONFIG,
    CONSTANTS,
    MODEL,
    VERIFICATION,
    Verification,
    read_config,
    served_version,
    stored_versions,
)

TritonBackend = Literal["onnxruntime", "python", "tensorrt"]

QUEUE_DELAY_US = 2_000  # short beside any inference, long enough to gather concurrent requests
QUEUE_TIMEOUT_US = 60_000_000  # as long as a gateway lets a request take; clients shorten it
QUEUE_BATCHES = 8  # full batches that may wait; beyond them a refusal is better than a late answer

PLAN = "model.plan"
PYTHON_MODEL = Path(__file__).parent / "triton_python" / "model.py"
CONFIG_HEADER = """\
# Triton model configuration, written by onegauge: the contract that the gateway reads. Beside the
# versions it is a copy of the served one's, which its version policy names first.
# An image is anomalous when its score is at least 1.0.
"""


@dataclass(frozen=True)
class ModelSpec:
    """What a model configuration says about one exported graph; sizes are (height, width)."""

    name: str
    image_size: tuple[int, int]
    map_size: tuple[int, int]
    max_batch_size: int
    triton_backend: TritonBackend
    provenance: dict[str, str]
    explained_by: tuple[int, int] | None = None  # neighbours, and axes of patches; None: nothing
    every_batch_warmed: bool = False  # where a batch that is new costs an engine

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise RepositoryError(
                f"model name {self.name!r}: use letters, digits, '.', '_' and '-' only"
            )
        if self.max_batch_size < 1:
            raise RepositoryError(f"max_batch_size {self.max_batch_size}: must be at least 1")


def model_config(spec: ModelSpec) -> ModelConfig:
    """Triton's configuration for the graph that `spec` describes."""
    sizes = {1, spec.max_batch_size}
    if spec.every_batch_warmed:
        sizes = {*range(1, spec.max_batch_size + 1)}
    return ModelConfig(
        name=spec.name,
        backend=spec.triton_backend,
        max_batch_size=spec.max_batch_size,
        input=[ModelInput(name=IMAGE, data_type="TYPE_UINT8", dims=(*spec.image_size, 3))],
        output=[*_outputs(spec.map_size), *_explaining(spec)],
        dynamic_batching=_dynamic_batching(spec.max_batch_size),
        instance_group=[ModelInstanceGroup(kind="KIND_AUTO", count=1)],
        model_warmup=[_warmup(spec, size) for size in sorted(sizes)],
        parameters={k: ModelParameter(string_value=v) for k, v in spec.provenance.items()},
    )


def add_version(
    repository: Path,
    config: ModelConfig,
    model_file: Path,
    verification: Verification | None = None,
    plan: Path | None = None,
    library: Library | None = None,
) -> int:
    """Add `model_file` as the next version of the model and return its number; not served yet.

    Its constants go beside it where they lie beside `model_file`, a TensorRT `plan` of it, and the
    `library` of its normal images.
    The version folder is filled beside its place and renamed into it; on any failure the
    repository is left as it was. Older versions are never touched.
    Raises RepositoryError for an incompatible model of that name or when writing fails.
    """
    require_compatible(repository, config)
    try:
        with ExitStack() as undo:
            folder = repository / config.name
            staging = _staging(folder, undo)
            shutil.copyfile(model_file, staging / MODEL)
            for constants in model_file.parent.glob(CONSTANTS):
                shutil.copyfile(constants, staging / CONSTANTS)
            (staging / CONFIG).write_text(CONFIG_HEADER + _text(config), encoding="utf-8")
            if verification is not None:
                verification.save(staging / VERIFICATION)
            if plan is not None:
                shutil.copyfile(plan, staging / PLAN)
            if library is not None:
                library.save(staging / LIBRARY)
            if config.backend == "python":
                shutil.copyfile(PYTHON_MODEL, staging / "model.py")
            version = 1 + max(stored_versions(folder), default=0)
            staging.rename(folder / str(version))
            undo.pop_all()
    except OSError as exc:
        raise RepositoryError(f"cannot add {config.name} to {repository}: {exc}") from exc
    return version


def publish(repository: Path, name: str, version: int, beside: Sequence[int] = ()) -> None:
    """Have a version served, an earlier one as well as a later one.

    Triton keeps the versions `beside` it loaded, for a shadow. The model's configuration becomes
    that of the version in one step, so that nobody ever reads half of it. Raises RepositoryError.
    """
    folder = repository / name
    draft = folder / f".{uuid.uuid4().hex}"
    try:
        present = stored_versions(folder)
        if unknown := [v for v in (version, *beside) if v not in present]:
            raise RepositoryError(
                f"{name} in {repository} has no version {unknown[0]}, only "
                f"{', '.join(map(str, present)) or 'none'}"
            )
        config = read_config(folder, f"{version}/{CONFIG}")
        config.version_policy.specific.versions[:] = [version, *beside]
        draft.write_text(CONFIG_HEADER + _text(config), encoding="utf-8")
        os.replace(draft, folder / CONFIG)
    except (OSError, ContractError) as exc:
        draft.unlink(missing_ok=True)
        raise RepositoryError(
            f"cannot publish version {version} of {name} in {repository}: {exc}; what was served "
            "before still is"
        ) from exc


def rollback(repository: Path, name: str) -> int:
    """Have the version before the served one served and return its number.

    That is the one that was taught, of a version that came of it: between them may be others that
    were withdrawn, and never served.
    """
    folder = repository / name
    try:
        served = served_version(folder).contract
        earlier = [v for v in stored_versions(folder) if v < int(served.version)]
    except (OSError, ContractError) as exc:
        raise RepositoryError(f"cannot roll back {name} in {repository}: {exc}") from exc
    if not earlier:
        first = f"version {served.version} of {name} in {repository}"
        raise RepositoryError(f"{first} is the first there is")
    taught = served.parameters.get("parent_version")
    before = next((v for v in earlier if str(v) == taught), earlier[-1])
    publish(repository, name, before)
    return before


def _outputs(map_size: tuple[int, int]) -> list[ModelOutput]:
    """One map and the scalars; Triton has no rank 0, so [B] in the graph is [B, 1] to clients."""
    anomaly_map = ModelOutput(name=ANOMALY_MAP, data_type="TYPE_FP32", dims=map_size)
    scalars = [
        ModelOutput(name=name, data_type="TYPE_FP32", dims=[1], reshape=ModelTensorReshape())
        for name in SCALARS
    ]
    return [*scalars, anomaly_map]


def _explaining(spec: ModelSpec) -> list[ModelOutput]:
    """What a model with a library tells of the normal images behind its answer."""
    if spec.explained_by is None:
        return []
    neighbours, axes = spec.explained_by
    types = ("TYPE_INT32", "TYPE_FP32", "TYPE_FP32")
    shapes = (neighbours,), (neighbours,), (*spec.map_size, axes)
    return [
        ModelOutput(name=name, data_type=data_type, dims=shape)
        for name, data_type, shape in zip(EXPLAINING, types, shapes, strict=True)
    ]


def _dynamic_batching(max_batch_size: int) -> ModelDynamicBatching:
    """Gather concurrent requests; bound the queue and reject what waits too long."""
    policy = ModelQueuePolicy(
        timeout_action="REJECT",
        default_timeout_microseconds=QUEUE_TIMEOUT_US,
        allow_timeout_override=True,
        max_queue_size=QUEUE_BATCHES * max_batch_size,
    )
    return ModelDynamicBatching(
        max_queue_delay_microseconds=QUEUE_DELAY_US, default_queue_policy=policy
    )


def _warmup(spec: ModelSpec, batch_size: int) -> ModelWarmup:
    """Random images, so that the first real request meets a warm server."""
    image = ModelWarmup.Input(data_type="TYPE_UINT8", dims=(*spec.image_size, 3), random_data=True)
    return ModelWarmup(name=f"batch_{batch_size}", batch_size=batch_size, inputs={IMAGE: image})


def require_compatible(repository: Path, new: ModelConfig) -> None:
    """Raise RepositoryError for a configuration that published versions cannot be served with."""
    folder = repository / new.name
    if not folder.is_dir() or not (versions := stored_versions(folder)):
        return
    try:
        old = read_config(folder, f"{versions[-1]}/{CONFIG}")
    except ContractError as exc:
        raise RepositoryError(f"{folder}: {exc}") from exc
    published, wanted = _shared(old), _shared(new)
    different = [k for k in published | wanted if published.get(k) != wanted.get(k)]
    if different:
        changes = (f"{k}: {published.get(k, 'none')} → {wanted.get(k, 'none')}" for k in different)
        raise RepositoryError(
            f"the versions of {new.name} in {repository} have the same backend, input and outputs; "
            f"publish this one under another name. "
            f"Different: {'; '.join(changes)}"
        )


def _shared(config: ModelConfig) -> dict[str, str]:
    """What all versions of a model have in common: the backend, and each tensor by its name."""
    tensors = {t.name: _text(t, as_one_line=True) for t in (*config.input, *config.output)}
    return {"backend": config.backend} | tensors


def _text(message: ModelConfig | ModelInput | ModelOutput, *, as_one_line: bool = False) -> str:
    """The message as protobuf text, lists of numbers on one line."""
    return str(
        text_format.MessageToString(
            message, as_one_line=as_one_line, use_short_repeated_primitives=True
        )
    )


def _staging(folder: Path, undo: ExitStack) -> Path:
    """A hidden folder beside the versions, which Triton does not look at."""
    if not folder.exists():
        folder.mkdir(parents=True)
        undo.callback(folder.rmdir)
    staging = folder / f".{uuid.uuid4().hex}"
    undo.callback(shutil.rmtree, staging, ignore_errors=True)
    staging.mkdir()
    return staging
