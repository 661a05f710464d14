"""A backend that does as it is told, where a real one would be too well behaved."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import TypeVar

import numpy as np

from onegauge.service.errors import BackendError
from onegauge.service.model.backends.jobs import WaitingRoom
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import Outputs

T = TypeVar("T")
PROVENANCE = {"calibration_images": "99"}


class FakeBackend:
    """Scores every image with `score`; can be held back, fail, and change its version."""

    def __init__(self, serving: str = "1") -> None:
        self.serving = serving
        self.side = 8
        self.score = 0.0
        self.entered, self.release = Event(), Event()
        self.release.set()
        self.error: Exception | None = None  # of inferences, and of readiness
        self.away: BackendError | None = None  # raised by all but inferences
        self.unloadable: BackendError | None = None
        self.cancelled = 0
        self.answered_by: list[str] = []
        self.batches: list[int] = []
        self.waiting = WaitingRoom(16)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def reload(self) -> None: ...

    async def served(self) -> Contract:
        return await self.version(self.serving)

    async def version(self, number: str) -> Contract:
        if self.away:
            raise self.away
        sides = (self.side, self.side, 2, 2)
        return Contract("fake", number, *sides, 2, "onnxruntime", PROVENANCE)

    async def load(self, contract: Contract) -> "FakeModel":
        if self.unloadable:
            raise self.unloadable
        return FakeModel(contract, self)

    async def ready(self) -> None:
        if problem := self.away or self.error:
            raise problem


class FakeModel:
    def __init__(self, contract: Contract, backend: FakeBackend) -> None:
        self.contract = contract
        self.at_once = contract.max_batch_size
        self.backend = backend

    async def work(self, job: Callable[[Infer], T], deadline: float, *, explain: bool = False) -> T:
        assert not explain
        loop = asyncio.get_running_loop()

        def ask(images: np.ndarray) -> list[Future[Outputs]]:
            return [asyncio.run_coroutine_threadsafe(self.infer(images, deadline), loop)]

        return await self.backend.waiting.work(job, ask, deadline)

    async def infer(self, images: np.ndarray, _deadline: float) -> Outputs:
        backend = self.backend
        backend.entered.set()
        try:
            while not backend.release.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            backend.cancelled += 1
            raise
        if backend.error:
            raise backend.error
        backend.answered_by.append(self.contract.version)
        backend.batches.append(len(images))
        score, zero = (np.full(len(images), v, np.float32) for v in (backend.score, 0))
        return Outputs(score, *[zero] * 5, np.zeros((len(images), 2, 2), np.float32))
