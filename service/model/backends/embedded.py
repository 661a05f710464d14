"""Models of the repository, run in this process by a library such as ONNX Runtime."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import monotonic
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from onegauge.cores import cores, threads
from onegauge.service.errors import BackendTimeout, ContractError
from onegauge.service.inspection.decision import DeploymentCriterion
from onegauge.service.model.backends import Infer, IsClear, Outputs
from onegauge.service.model.contract import Contract
from onegauge.service.model.repository import (
    StoredVersion,
    Verification,
    served_version,
    stored_version,
)
from onegauge.service.settings import Settings
from onegauge.service.threads import beside, outcome

SCORE_TOLERANCE = 1e-2  # in score units, between this runtime and the one that exported
SMALLER_TOLERANCE = 0.1  # the same for smaller precisions, which machines round differently
GPU_WORKERS = 2  # one batch on its way while another is computed
T = TypeVar("T")
Tensors: TypeAlias = Mapping[str, NDArray[np.float32]]
Run: TypeAlias = Callable[[NDArray[np.uint8]], Tensors]


@dataclass(frozen=True)
class Look:
    """A graph made ready by a library, to run while cores idle, and beside many others.

    On a CPU these are two: threads that wait for each other are worth it only on cores that idle.
    """

    alone: Run
    beside: Run


@dataclass(frozen=True)
class Compiled:
    """A model made ready by a library, and perhaps a quicker way to most of its decisions."""

    exact: Look
    batching: bool  # whether a batch takes less time than its images one by one
    quick: Look | None = None


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
        self._batching = self._first.batching

    async def start(self) -> None:
        """Start the workers."""
        workers = self._settings.inference_workers or (
            GPU_WORKERS if self._batching else self._cores
        )
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="inference")

    async def stop(self) -> None:
        """Drop the batches that still wait."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def served(self) -> Contract:
        """The version that the repository says is served."""
        return (await asyncio.to_thread(served_version, self._folder)).contract

    async def version(self, number: str) -> Contract:
        """A version of the repository, served or not."""
        return (await asyncio.to_thread(stored_version, self._folder, number)).contract

    async def load(self, contract: Contract) -> "EmbeddedModel":
        """Load a version beside those that run, in a thread of its own."""
        first, self._first = self._first, None
        if first and first.contract == contract:
            return first
        stored = StoredVersion(contract, self._folder / contract.version)
        return await asyncio.to_thread(self._load, stored)

    async def reload(self) -> None:
        """Nothing to do: the repository is read whenever it is asked what is served."""

    async def ready(self) -> None:
        """Raise BackendTimeout while a job holds a worker for longer than any request may."""
        limit = self._settings.request_timeout_s
        if monotonic() - min(self._begun, default=inf) > limit:
            raise BackendTimeout(f"A batch has been running for more than {limit:g} s.")

    async def work(self, compiled: Compiled, job: Callable[[Infer], T], deadline: float) -> T:
        """Do a job when its turn comes; raises BackendTimeout when that takes too long."""
        future = self._workers.submit(copy_context().run, self._timed, compiled, job)
        try:
            async with asyncio.timeout_at(deadline):
                return await outcome(future)  # who gives up gives up the turn, too
        except TimeoutError as exc:
            raise BackendTimeout("The model did not answer before the deadline.") from exc

    def _timed(self, compiled: Compiled, job: Callable[[Infer], T]) -> T:
        def looked(look: Look, images: NDArray[np.uint8]) -> Outputs:
            half_idle = 2 * len(self._begun) <= self._cores
            run = look.alone if half_idle else look.beside
            return Outputs.from_tensors(run(images), len(images))

        def infer(images: NDArray[np.uint8], is_clear: IsClear | None = None) -> Outputs:
            if compiled.quick and is_clear and is_clear(seen := looked(compiled.quick, images)):
                return seen
            return looked(compiled.exact, images)

        begun = monotonic()
        self._begun.append(begun)
        try:
            return job(infer)
        finally:
            self._begun.remove(begun)

    def _load(self, stored: StoredVersion) -> "EmbeddedModel":
        """Compile, warm and verify a version."""
        settings, contract = self._settings, stored.contract
        DeploymentCriterion(settings.threshold, settings.max_false_alarm_rate).check(contract)
        compiled = self._compile(stored.model_file(), settings.inference_threads or threads())
        verification = stored.verification()
        full = contract.parameters.get("precision", "fp32") == "fp32"
        for look in filter(None, (compiled.exact, compiled.quick)):
            for run in dict.fromkeys((look.alone, look.beside)):
                # the first request finds it warm
                for batch_size in sorted({1, contract.max_batch_size if compiled.batching else 1}):
                    images = np.zeros((batch_size, contract.height, contract.width, 3), np.uint8)
                    Outputs.from_tensors(run(images), batch_size)
                if verification is not None:
                    _verify(run, verification, contract, full=full and look is compiled.exact)
        kind = EmbeddedModel if compiled.batching else EmbeddedModelOnCores
        return kind(contract, self, compiled)


class EmbeddedModel:
    """One loaded version, which takes several images at once."""

    def __init__(self, contract: Contract, backend: EmbeddedBackend, compiled: Compiled) -> None:
        self.contract = contract
        self.batching = compiled.batching
        self._backend = backend
        self._compiled = compiled

    async def infer(self, images: NDArray[np.uint8], deadline: float) -> Outputs:
        """Inspect a batch (B, H, W, 3); raises BackendTimeout or BackendFailed."""
        return await self._backend.work(self._compiled, lambda infer: infer(images), deadline)


class EmbeddedModelOnCores(EmbeddedModel):
    """One loaded version, which takes images one by one, beside each other."""

    async def infer(self, images: NDArray[np.uint8], deadline: float) -> Outputs:
        """Inspect a batch (B, H, W, 3); raises BackendTimeout or BackendFailed."""
        one_by_one = super().infer
        singles = (one_by_one(images[i : i + 1], deadline) for i in range(len(images)))
        return Outputs.joined(await beside(singles))

    async def work(self, job: Callable[[Infer], T], deadline: float) -> T:
        """Do a job, which may infer, in one of the workers; raises as `infer` does."""
        return await self._backend.work(self._compiled, job, deadline)


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
