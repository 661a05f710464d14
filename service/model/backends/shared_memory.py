"""Images for a Triton on the same host in memory that both see, instead of in the message.

A message is copied over and over on its way, on the event loop too. In shared memory a batch is
copied once, and the message names the place.
"""

import asyncio
import logging
import mmap
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from onegauge.service.model.contract import IMAGE

FOLDER = Path("/dev/shm")  # where shm_open looks for a name
TIMEOUT_S = 2.0
AGAIN_S = 60.0  # until a server that could not see a place is asked to look at another
Ask = Callable[[InferInput], Awaitable[InferResult]]

_log = logging.getLogger("onegauge.triton")


@dataclass(frozen=True)
class _Place:
    """Memory that the server knows by a name."""

    name: str
    memory: mmap.mmap

    def hold(self, images: NDArray[np.uint8]) -> InferInput:
        """The graph's input, with the images (B, H, W, 3) in this memory."""
        np.frombuffer(self.memory, np.uint8, images.size)[:] = images.ravel()
        tensor = InferInput(IMAGE, images.shape, "UINT8")
        tensor.set_shared_memory(self.name, images.nbytes)
        return tensor


def in_message(images: NDArray[np.uint8]) -> InferInput:
    """The graph's input, with the images (B, H, W, 3) in the message."""
    tensor = InferInput(IMAGE, images.shape, "UINT8")
    tensor.set_data_from_numpy(images)
    return tensor


class SharedMemory:
    """Places that one server sees, one for each call under way; where it sees none, messages do.

    `headers` are those of calls that the server restricts.
    """

    def __init__(self, client: InferenceServerClient, headers: dict[str, str] | None) -> None:
        self._client = client
        self._headers = headers
        self._free: list[_Place] = []
        self._blind_until = 0.0

    async def infer(self, images: NDArray[np.uint8], ask: Ask) -> InferResult:
        """Ask with the images in shared memory, or in the message if that fails; raises as `ask`.

        A call that is given up may be read by the server later: what it reads then is nobody's.
        """
        place = await self._take(images.nbytes)
        if place is None:
            return await ask(in_message(images))
        try:
            return await ask(place.hold(images))
        except InferenceServerException as exc:
            if place.name not in str(exc.message()):
                raise
        finally:
            self._free.append(place)
        self._free.clear()  # the server was started anew and has forgotten all of them
        return await ask(in_message(images))

    async def close(self) -> None:
        """Have the server let go of all places at once: one that hangs takes its time once."""
        places, self._free = self._free, []
        await asyncio.gather(*map(self._let_go, places))

    async def _take(self, size: int) -> _Place | None:
        """A place of at least `size` bytes, None while the server sees none."""
        while self._free:
            place = self._free.pop()
            if len(place.memory) >= size:
                return place
            await self._let_go(place)
        now = asyncio.get_running_loop().time()
        if now < self._blind_until:
            return None
        try:
            return await self._make(size)
        except (OSError, InferenceServerException) as exc:
            self._blind_until = now + AGAIN_S
            _log.warning("Triton is sent images in messages, not in shared memory: %s", exc)
            return None

    async def _make(self, size: int) -> _Place:
        name = f"onegauge-{uuid4().hex}"
        file = os.open(FOLDER / name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            os.fchmod(file, 0o666)  # the server may be another user's
            os.posix_fallocate(file, 0, size)  # else a full /dev/shm kills who writes there
            memory = mmap.mmap(file, size)
            await self._client.register_system_shared_memory(
                name, f"/{name}", size, headers=self._headers, client_timeout=TIMEOUT_S
            )
        finally:
            os.close(file)
            (FOLDER / name).unlink()  # both have it, and whoever ends last frees it
        return _Place(name, memory)

    async def _let_go(self, place: _Place) -> None:
        try:
            await self._client.unregister_system_shared_memory(
                place.name, headers=self._headers, client_timeout=TIMEOUT_S
            )
        except InferenceServerException as exc:
            _log.warning("Triton keeps %d bytes of shared memory: %s", len(place.memory), exc)
