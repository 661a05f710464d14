"""What runs the graph: one narrow protocol, and a file for each way to run it.

embedded  a model of the repository in this process, by ONNX Runtime (onnx) or OpenVINO (openvino)
triton    a Triton Inference Server
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Protocol, Self, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from onegauge.service.errors import BackendFailed, needed_by
from onegauge.service.model.contract import ANOMALY_MAP, SCALARS, Contract
from onegauge.service.settings import Settings

OUTPUTS = (*SCALARS, ANOMALY_MAP)
_EXTRAS = {"onnx": "cpu", "openvino": "openvino"}  # of the package, by embedded backend

T = TypeVar("T")


@dataclass(frozen=True)
class Outputs:
    """The graph's answer for a batch, float32; the scalars are (B,), the map is (B, h, w)."""

    score: NDArray[np.float32]
    p_value: NDArray[np.float32]
    raw_score: NDArray[np.float32]
    normal_location: NDArray[np.float32]
    normal_scale: NDArray[np.float32]
    novelty: NDArray[np.float32]
    anomaly_map: NDArray[np.float32]

    def row(self, index: int) -> Self:
        """One image of the batch, as a batch of its own."""
        parts = (getattr(self, field.name)[index : index + 1] for field in fields(self))
        return type(self)(*parts)

    @classmethod
    def joined(cls, batches: Sequence[Self]) -> Self:
        """One batch of the images of several."""
        if len(batches) == 1:
            return batches[0]
        return cls(*(np.concatenate([getattr(b, f.name) for b in batches]) for f in fields(cls)))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]], batch_size: int) -> Self:
        """Check what a backend returned; raises BackendFailed rather than judge by a NaN."""
        for name in OUTPUTS:
            if len(tensors[name]) != batch_size:
                raise BackendFailed(
                    f"{name} has shape {tensors[name].shape} for {batch_size} images."
                )
            if not np.isfinite(tensors[name]).all():
                raise BackendFailed(f"{name} has values that are not finite numbers.")
        scalars = {name: tensors[name].ravel() for name in SCALARS}
        return cls(anomaly_map=tensors[ANOMALY_MAP], **scalars)


@dataclass(frozen=True)
class Refusal:
    """A version that was to be served and could not be; the one before it still answers."""

    version: str
    detail: str


class Model(Protocol):
    """One version of the model, warm and verified: a request stays with the one it began with."""

    @property
    def contract(self) -> Contract:
        """Its name, version, sizes and provenance."""

    async def infer(self, images: NDArray[np.uint8], deadline: float) -> Outputs:
        """Inspect a batch (B, H, W, 3), B at most the contract's max_batch_size.

        `deadline` is in the event loop's time. Raises subclasses of BackendError.
        """


IsClear: TypeAlias = Callable[[Outputs], bool]


class Infer(Protocol):
    """Inspects at once, in the thread that calls."""

    def __call__(self, images: NDArray[np.uint8], is_clear: IsClear | None = None) -> Outputs:
        """Inspect a batch (B, H, W, 3).

        With `is_clear` a backend may look quickly first, and again if what it saw is not clear.
        """


@runtime_checkable
class ModelAtHand(Model, Protocol):
    """A model that threads of this process run image by image.

    Whoever has more to do for an image has it done there, too, and spares two ways between threads.
    """

    async def work(self, job: Callable[[Infer], T], deadline: float) -> T:
        """Do a job, which may infer, in one of the threads; raises as `infer` does."""


class Backend(Protocol):
    """Where models run. Raises subclasses of `service.errors.BackendError`."""

    async def start(self) -> None:
        """Take what belongs to the event loop."""

    async def stop(self) -> None:
        """Release what `start` took."""

    async def served(self) -> Contract:
        """The version that the repository or the server says is served."""

    async def load(self, contract: Contract) -> Model:
        """A version made ready to answer: loaded, warm, and found to answer as it should."""

    async def version(self, number: str) -> Contract:
        """A certain version, served or not."""

    async def reload(self) -> Refusal | None:
        """Have the server read its repository anew; gives the version that it could not load."""

    async def ready(self) -> None:
        """Return when the backend answers, raise otherwise."""


async def infer_all(model: Model, images: Sequence[NDArray[np.uint8]], deadline: float) -> Outputs:
    """Inspect any number of images (H, W, 3), in batches that the model accepts.

    One after the other, so that a large request alone cannot fill the backend's queue. What is
    copied for a batch is copied beside the event loop.
    """
    if len(images) == 1:
        return await model.infer(images[0][np.newaxis], deadline)
    size, batches = model.contract.max_batch_size, []
    for start in range(0, len(images), size):
        batch = await asyncio.to_thread(np.stack, images[start : start + size])  # (B, H, W, 3)
        batches.append(await model.infer(batch, deadline))
    return await asyncio.to_thread(Outputs.joined, batches)


def load_backend(settings: Settings) -> Backend:
    """The backend that the settings ask for, an embedded one with its model loaded.

    Raises BackendUnavailable when its library is not installed, and what EmbeddedBackend raises.
    """
    if settings.backend == "triton":
        return _triton(settings)
    with needed_by(f"ONEGAUGE_BACKEND {settings.backend}", _EXTRAS[settings.backend]):
        from onegauge.service.model.backends.embedded import Compile, EmbeddedBackend

        compile_model: Compile
        if settings.backend == "openvino":
            from onegauge.service.model.backends.openvino import compile_model as compile_openvino

            compile_model = partial(compile_openvino, quick=settings.quick_look is not None)
        else:
            from onegauge.service.model.backends.onnx import compile_model
    return EmbeddedBackend(settings, compile_model)


def _triton(settings: Settings) -> Backend:
    from onegauge.service.model.backends.triton import TritonBackend, read_admin_key

    admin_key = read_admin_key(settings.triton_admin_key)
    headers: Callable[[], dict[str, str]] = dict
    if settings.tracing:
        with needed_by("ONEGAUGE_TRACING", "tracing"):
            from onegauge.service.observe.tracing import trace_headers as headers
    shared_memory = settings.triton_shared_memory
    return TritonBackend(
        settings.triton_url, settings.model, admin_key, headers, shared_memory=shared_memory
    )
