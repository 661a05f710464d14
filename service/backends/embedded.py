"""A model of the repository, run in this process by a library such as ONNX Runtime."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.backends import Outputs
from service.contract import Contract, parse_config
from service.decision import DeploymentCriterion
from service.errors import BackendTimeout, ContractError
from service.settings import Settings

Tensors: TypeAlias = Mapping[str, NDArray[np.float32]]
Run: TypeAlias = Callable[[NDArray[np.uint8]], Tensors]
Compile: TypeAlias = Callable[[Path, int], Run]


class EmbeddedBackend:
    """Runs the latest version of a repository's model, one batch at a time.

    `compile_model(model file, threads)` gives the function that runs a batch; 0 threads: as many
    as the library finds best. Raises ContractError when the repository holds no gauge model,
    and UnpromisedRate when the model cannot hold the criterion of the settings.
    """

    def __init__(self, settings: Settings, compile_model: Compile) -> None:
        self._contract, model_file = _latest(settings.repository / settings.model)
        DeploymentCriterion(settings.threshold, settings.max_false_alarm_rate).check(self._contract)
        self._run = compile_model(model_file, settings.inference_threads)
        self._timeout = settings.inference_timeout

    async def start(self) -> None:
        """Run the smallest and the largest batch, so that the first request finds a warm model."""
        # One worker: a second batch would only compete for the same cores.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._overdue: Future[Tensors] | None = None
        for batch_size in sorted({1, self._contract.max_batch_size}):
            shape = (batch_size, self._contract.height, self._contract.width, 3)
            await self.infer(np.zeros(shape, np.uint8))

    async def stop(self) -> None:
        """Drop the batches that still wait."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def ready(self) -> None:
        """Raise BackendTimeout while a batch that missed its deadline still holds the worker."""
        if self._overdue and not self._overdue.done():
            raise BackendTimeout(f"A batch has been running for more than {self._timeout} s.")

    async def contract(self) -> Contract:
        """The model version that was loaded."""
        return self._contract

    async def infer(self, images: NDArray[np.uint8]) -> Outputs:
        """Inspect a batch (B, H, W, 3); raises BackendTimeout or BackendFailed."""
        future = self._worker.submit(self._run, images)
        try:
            async with asyncio.timeout(self._timeout):
                tensors = await asyncio.wrap_future(future)
        except TimeoutError as exc:
            if not future.cancel():  # it no longer waits for its turn
                self._overdue = future
            raise BackendTimeout(f"No answer within {self._timeout} s.") from exc
        return Outputs.from_tensors(tensors, len(images))


def _latest(folder: Path) -> tuple[Contract, Path]:
    """Contract and model file of the newest version in a model's folder."""
    try:
        config = parse_config((folder / "config.pbtxt").read_text(encoding="utf-8"))
        versions = [int(v.name) for v in folder.iterdir() if v.name.isdecimal()]
    except OSError as exc:
        raise ContractError(f"No model can be read from {folder}: {exc}") from exc
    config.name = config.name or folder.name
    model_file = folder / str(max(versions, default=0)) / "model.onnx"
    if not model_file.is_file():
        raise ContractError(f"No model can be read from {folder}: {model_file} does not exist.")
    return Contract.from_config(config, model_file.parent.name), model_file
