"""Models of the repository, run in this process by a library such as ONNX Runtime."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from onegauge.cores import cores, threads
from onegauge.service.errors import BackendTimeout, ContractError
from onegauge.service.model.backends.huge_pages import use_huge_pages
from onegauge.service.model.backends.jobs import WaitingRoom, in_time
from onegauge.service.model.contract import Contract
from onegauge.service.model.criterion import DeploymentCriterion
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import EXPLAINED, OUTPUTS, Outputs
from onegauge.service.model.repository import (
    StoredVersion,
    Verification,
    served_version,
    stored_version,
)
from onegauge.service.settings import Settings
from onegauge.service.threads import go_on

SCORE_TOLERANCE = 1e-2  # in score units, between this runtime and the one that exported
SMALLER_TOLERANCE = 0.1  # the same for smaller precisions, which machines round differently
GPU_WORKERS = 2  # one batch on its way while another is computed
T = TypeVar("T")
Tensors: TypeAlias = Mapping[str, NDArray[Any]]


class Run(Protocol):
    """Computes outputs of the graph for a batch (B, H, W, 3)."""

    def __call__(self, images: NDArray[np.uint8], names: Sequence[str] = OUTPUTS, /) -> Tensors:
        """The outputs by their names."""


@dataclass(frozen=True)
class Compiled:
    """A graph made ready by a library, to run while cores idle, and beside many others.

    On a CPU these are two: threads that wait for each other are worth it only on cores that idle.
    """

    alone: Run
    beside: Run
    batching: bool  # whether a batch takes less time than its images one by one


Compile: TypeAlias = Callable[[Path, int], Compiled]


class EmbeddedBackend:
    """Runs versions of a repository's model, a few batches at a time.

    By default one for each core: more would interrupt each other.
    `compile_model(model file, threads)` makes a model ready; 0 threads for what runs alone: as many
    as the library finds best. The served version is loaded at once: raises ContractError when the
    repository holds no gauge model, and UnpromisedRate when the model cannot hold the criterion of
    the settings.
    """

    def __init__(self, settings: Settings, compile_model: Compile) -> None:
        self._folder = settings.repository / settings.model
        self._settings = settings
        self._compile = compile_model
        self._cores = cores()
        self._begun: list[float] = []  # when the jobs that run now did
        self._first: EmbeddedModel | None = self._load(served_version(self._folder))
        self._batching = self._first.at_once > 1

    async def start(self) -> None:
        """Start the workers."""
        workers = self._settings.inference_workers or (
            GPU_WORKERS if self._batching else self._cores
        )
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="inference")
        self.waiting = WaitingRoom(self._settings.max_in_flight)

    async def stop(self) -> None:
        """Drop the batches that still wait."""
        self.waiting.close()
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def served(self) -> Contract:
        """The version that the repository says is served."""
        return (await asyncio.to_thread(served_version, self._folder)).contract

    async def version(self, number: str) -> Contract:
        """A version of the repository, served or not."""
        return (await asyncio.to_thread(stored_version, self._folder, number)).contract

    async def load(self, contract: Contract) -> "EmbeddedModel":
        """Load a version beside those that run, in a thread of its own."""
        model, self._first = self._first, None
        if model is None or model.contract != contract:
            stored = StoredVersion(contract, self._folder / contract.version)
            model = await asyncio.to_thread(self._load, stored)
        self._workers.submit(use_huge_pages)  # its first images have had all memory taken
        return model

    async def reload(self) -> None:
        """Nothing to do: the repository is read whenever it is asked what is served."""

    async def ready(self) -> None:
        """Raise BackendTimeout while a job holds a worker for longer than any request may."""
        limit = self._settings.request_timeout_s
        if monotonic() - min(self._begun, default=inf) > limit:
            raise BackendTimeout(f"A batch has been running for more than {limit:g} s.")

    async def work(self, job: Callable[[], T], deadline: float) -> T:
        """Have a worker do a job when its turn comes; raises BackendTimeout."""
        return await in_time(self._workers, partial(self._occupied, job), deadline)

    def begin(
        self, compiled: Compiled, images: NDArray[np.uint8], *, explain: bool
    ) -> Future[Outputs]:
        """Have a worker inspect a batch (B, H, W, 3) when its turn comes."""
        task = partial(self.run, compiled, images, explain=explain)
        return self._workers.submit(copy_context().run, self._occupied, task)

    def run(self, compiled: Compiled, images: NDArray[np.uint8], *, explain: bool) -> Outputs:
        """Inspect a batch (B, H, W, 3) in the worker that calls."""
        go_on()
        half_idle = 2 * len(self._begun) <= self._cores
        run = compiled.alone if half_idle else compiled.beside
        tensors = run(images, EXPLAINED) if explain else run(images)
        return Outputs.from_tensors(tensors, len(images))

    def _occupied(self, task: Callable[[], T]) -> T:
        begun = monotonic()
        self._begun.append(begun)
        try:
            return task()
        finally:
            self._begun.remove(begun)

    def _load(self, stored: StoredVersion) -> "EmbeddedModel":
        settings, contract = self._settings, stored.contract
        DeploymentCriterion(settings.threshold, settings.max_false_alarm_rate).check(contract)
        compiled = made_ready(stored, self._compile, settings.inference_threads or threads())
        return EmbeddedModel(contract, self, compiled)


class EmbeddedModel:
    """One loaded version."""

    def __init__(self, contract: Contract, backend: EmbeddedBackend, compiled: Compiled) -> None:
        self.contract = contract
        self.at_once = contract.max_batch_size if compiled.batching else 1
        self._backend = backend
        self._compiled = compiled

    async def work(self, job: Callable[[Infer], T], deadline: float, *, explain: bool = False) -> T:
        """Do a job, which may infer: one of an image in a worker, from its bytes to its answer.

        One of a batch, or of a picture of many tiles, waits beside the workers instead.
        """
        if self.at_once > 1 or self.contract.tiling:
            ask = partial(self._ask, explain=explain)
            return await self._backend.waiting.work(job, ask, deadline)
        infer = partial(self._backend.run, self._compiled, explain=explain)
        return await self._backend.work(partial(job, infer), deadline)

    def _ask(self, images: NDArray[np.uint8], *, explain: bool) -> list[Future[Outputs]]:
        parts = (images[i : i + self.at_once] for i in range(0, len(images), self.at_once))
        return [self._backend.begin(self._compiled, part, explain=explain) for part in parts]


def made_ready(stored: StoredVersion, compile_model: Compile, threads: int) -> Compiled:
    """Compile, warm and verify a version; raises ContractError."""
    contract, compiled = stored.contract, compile_model(stored.model_file(), threads)
    verification = stored.verification()
    full = contract.parameters.get("precision", "fp32") == "fp32"
    for run in dict.fromkeys((compiled.alone, compiled.beside)):
        # the first request finds it warm
        for batch_size in sorted({1, contract.max_batch_size if compiled.batching else 1}):
            images = np.zeros((batch_size, contract.height, contract.width, 3), np.uint8)
            Outputs.from_tensors(run(images), batch_size)
        if verification is not None:
            _verify(run, verification, contract, full=full)
    return compiled


def _verify(run: Run, expected: Verification, contract: Contract, *, full: bool) -> None:
    """Compare with the runtime that exported; raises ContractError when it gives something else."""
    for image, score, novelty in zip(
        expected.images, expected.score, expected.novelty, strict=True
    ):
        found = Outputs.from_tensors(run(image[np.newaxis]), 1)
        error = abs(float(found.score[0] - score))
        flipped = (found.score[0] >= 1) != (score >= 1) or (found.novelty[0] >= 1) != (novelty >= 1)
        allowed = SCORE_TOLERANCE if full else SMALLER_TOLERANCE * max(1, abs(float(score)))
        if flipped or error > allowed:
            raise ContractError(
                f"Version {contract.version} of {contract.name} does not answer here as it did "
                f"when it was exported: a score of {found.score[0]:g} instead of {score:g}."
            )
