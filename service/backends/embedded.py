"""Models of the repository, run in this process by a library such as ONNX Runtime."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path
from time import monotonic
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.backends import Outputs
from service.contract import Contract
from service.decision import DeploymentCriterion
from service.errors import BackendTimeout, ContractError
from service.repository import StoredVersion, Verification, served_version, stored_version
from service.settings import Settings

SCORE_TOLERANCE = 1e-2  # in score units, between this runtime and the one that exported
SMALLER_TOLERANCE = 0.1  # the same for smaller precisions, which machines round differently
Tensors: TypeAlias = Mapping[str, NDArray[np.float32]]
Run: TypeAlias = Callable[[NDArray[np.uint8]], Tensors]
Compile: TypeAlias = Callable[[Path, int], Run]


class EmbeddedBackend:
    """Runs versions of a repository's model, a few batches at a time.

    A second batch fills the cores where the first leaves them idle, between its layers.

    `compile_model(model file, threads)` gives the function that runs a batch; 0 threads: as many
    as the library finds best. The served version is loaded at once: raises ContractError when the
    repository holds no gauge model, and UnpromisedRate when the model cannot hold the criterion of
    the settings.
    """

    def __init__(self, settings: Settings, compile_model: Compile) -> None:
        self._folder = settings.repository / settings.model
        self._settings = settings
        self._compile = compile_model
        self._begun: list[float] = []  # when the batches that run now did
        self._first: EmbeddedModel | None = self._load(served_version(self._folder))

    async def start(self) -> None:
        """Start the workers."""
        workers = self._settings.inference_workers
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
        """Raise BackendTimeout while a batch holds a worker for longer than any request may."""
        limit = self._settings.request_timeout_s
        if monotonic() - min(self._begun, default=inf) > limit:
            raise BackendTimeout(f"A batch has been running for more than {limit:g} s.")

    async def run(self, run: Run, images: NDArray[np.uint8], deadline: float) -> Tensors:
        """Run a batch when its turn comes; raises BackendTimeout when that takes too long."""
        future = self._workers.submit(self._timed, run, images)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.wrap_future(future)  # who gives up gives up the turn, too
        except TimeoutError as exc:
            raise BackendTimeout("The model did not answer before the deadline.") from exc

    def _timed(self, run: Run, images: NDArray[np.uint8]) -> Tensors:
        begun = monotonic()
        self._begun.append(begun)
        try:
            return run(images)
        finally:
            self._begun.remove(begun)

    def _load(self, stored: StoredVersion) -> "EmbeddedModel":
        """Compile, warm and verify a version."""
        settings, contract = self._settings, stored.contract
        DeploymentCriterion(settings.threshold, settings.max_false_alarm_rate).check(contract)
        run = self._compile(stored.model_file(), settings.inference_threads)
        for batch_size in sorted({1, contract.max_batch_size}):  # the first request finds it warm
            images = np.zeros((batch_size, contract.height, contract.width, 3), np.uint8)
            Outputs.from_tensors(run(images), batch_size)
        if (verification := stored.verification()) is not None:
            _verify(run, verification, contract)
        return EmbeddedModel(contract, self, run)


class EmbeddedModel:
    """One loaded version."""

    def __init__(self, contract: Contract, backend: EmbeddedBackend, run: Run) -> None:
        self.contract = contract
        self._backend = backend
        self._run = run

    async def infer(self, images: NDArray[np.uint8], deadline: float) -> Outputs:
        """Inspect a batch (B, H, W, 3); raises BackendTimeout or BackendFailed."""
        tensors = await self._backend.run(self._run, images, deadline)
        return Outputs.from_tensors(tensors, len(images))


def _verify(run: Run, expected: Verification, contract: Contract) -> None:
    """Compare with the runtime that exported; raises ContractError when it gives something else."""
    full = contract.parameters.get("precision", "fp32") == "fp32"
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
