"""One or several Triton Inference Servers over gRPC, with a deadline on every call.

Which server takes a call is gRPC's own business: it balances over the addresses that its target
resolves to, and leaves out those that it cannot reach.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from opentelemetry.propagate import inject
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from onegauge.service.errors import (
    BackendError,
    BackendFailed,
    BackendOverloaded,
    BackendTimeout,
    BackendUnavailable,
    for_clients,
)
from onegauge.service.model.backends.jobs import WaitingRoom
from onegauge.service.model.backends.shared_memory import SharedMemory, in_message
from onegauge.service.model.contract import Contract
from onegauge.service.model.model import Infer, Refusal
from onegauge.service.model.outputs import EXPLAINED, OUTPUTS, Outputs
from onegauge.service.model.repository import chosen_version
from onegauge.service.settings import Settings

ADMIN_HEADER = "triton-grpc-protocol-admin-key"
RETRY_AFTER_S = 1
SCORE_TOLERANCE = 1e-2  # between two answers for the same image
CONTROL_TIMEOUT_S = 2.0  # of calls that are answered at once, or else the server hangs
FIRST_TIMEOUT_S = 10.0  # of a first inference, which finds the model warm but the server busy
LOAD_TIMEOUT_S = 120.0  # a first TensorRT engine takes minutes to build
# The server or the model is not there; a server that is killed cancels what it was doing.
_GONE = {"StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND", "StatusCode.CANCELLED"}
_CHANNEL_OPTIONS = [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.enable_http_proxy", 0),  # of the environment: that is for what is outside
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own backoff grows to two minutes, far longer than a restarted server takes
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # nor does a new backend wait out the backoff of another one's connection to the address
    ("grpc.use_local_subchannel_pool", 1),
    # a server that vanished without a word, as a machine without power, is given up
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]

T = TypeVar("T")

_log = logging.getLogger("onegauge.triton")


def admin_headers(file: Path | None) -> dict[str, str] | None:
    """For a server started with --grpc-restricted-protocol=model-repository:admin-key=KEY.

    None without a file; raises BackendUnavailable for one that cannot be read.
    """
    if file is None:
        return None
    try:
        key = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise BackendUnavailable(f"ONEGAUGE_TRITON_ADMIN_KEY cannot be read: {exc}") from exc
    return {ADMIN_HEADER: key} if key else None


def _trace_headers() -> dict[str, str]:
    """What tells the server the current span, nothing where there is none."""
    headers: dict[str, str] = {}
    inject(headers)
    return headers


class TritonBackend:
    """One model of Triton, whose URL is a gRPC target or several addresses with commas between.

    Raises BackendUnavailable where the admin key cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        url = settings.triton_url
        self._target = f"ipv4:{url}" if "," in url else url
        self._where = f"Triton at {url}"
        self._model = settings.model
        self._admin = admin_headers(settings.triton_admin_key)
        self._shared_memory = settings.triton_shared_memory
        self._in_flight = settings.max_in_flight

    async def start(self) -> None:
        """Create the client, which belongs to the running event loop; the server may come later."""
        self.waiting = WaitingRoom(self._in_flight)
        self.client = InferenceServerClient(self._target, channel_args=_CHANNEL_OPTIONS)
        self._shared = SharedMemory(self.client, self._admin) if self._shared_memory else None

    async def stop(self) -> None:
        """Drop the jobs that still wait, and close the connections."""
        self.waiting.close()
        if self._shared:
            await self._shared.close()
        await self.client.close()

    async def served(self) -> Contract:
        """The version that the model's configuration in the server names."""
        with self.errors():
            answer = await self.client.get_model_config(
                self._model, client_timeout=CONTROL_TIMEOUT_S
            )
            metadata = await self.client.get_model_metadata(
                self._model, client_timeout=CONTROL_TIMEOUT_S
            )
        version = chosen_version(answer.config, [int(v) for v in metadata.versions])
        return Contract.from_config(answer.config, version)

    async def version(self, number: str) -> Contract:
        """A version that the server has loaded."""
        with self.errors():
            answer = await self.client.get_model_config(
                self._model, number, client_timeout=CONTROL_TIMEOUT_S
            )
        return Contract.from_config(answer.config, number)

    async def load(self, contract: Contract) -> "TritonModel":
        """See that the version answers; the server has loaded and warmed it by itself.

        Images go through shared memory only after one has come to the same score there.
        """
        model = TritonModel(contract, self)
        shape = (1, contract.height, contract.width, 3)
        images = np.resize(np.arange(256, dtype=np.uint8), shape)
        deadline = asyncio.get_running_loop().time() + FIRST_TIMEOUT_S
        told = await model.infer(images, deadline)
        if self._shared is None:
            return model
        sharing = TritonModel(contract, self, self._shared)
        seen = await sharing.infer(images, deadline)
        if np.allclose(seen.score, told.score, atol=SCORE_TOLERANCE):
            return sharing
        _log.warning("%s reads other images than ours in shared memory.", self._where)
        return model

    async def reload(self) -> Refusal | None:
        """Have the server load the model anew, which it allows in explicit mode only."""
        try:
            with self.errors():
                await self.client.load_model(
                    self._model, headers=self._admin, client_timeout=LOAD_TIMEOUT_S
                )
        except BackendFailed:
            if refusal := await self._refusal():
                return refusal
            raise
        return None

    async def _refusal(self) -> Refusal | None:
        """The version of the model that the server says it could not load."""
        with self.errors():
            index = await self.client.get_model_repository_index(
                headers=self._admin, client_timeout=CONTROL_TIMEOUT_S
            )
        for entry in index.models:
            if entry.name == self._model and entry.state == "UNAVAILABLE":
                return Refusal(entry.version, f"{self._where}: {for_clients(entry.reason)}")
        return None

    async def ready(self) -> None:
        """Ask the server whether it has the model ready."""
        with self.errors():
            if not await self.client.is_model_ready(self._model, client_timeout=CONTROL_TIMEOUT_S):
                raise BackendUnavailable(f"{self._where}: {self._model} is not ready.")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the client raises into our own errors."""
        try:
            yield
        except InferenceServerException as exc:
            raise self._error(str(exc.status()), for_clients(exc.message())) from exc

    def _error(self, code: str, message: str) -> BackendError:
        if code == "StatusCode.DEADLINE_EXCEEDED":
            return BackendTimeout(f"{self._where} did not answer before the deadline.")
        if code not in _GONE:
            return BackendFailed(f"{self._where}: {message}")
        # A full queue and a request that waited there too long share the code of a lost server.
        if "queue" in message or "timeout expired" in message:
            return BackendOverloaded(f"{self._where}: {message}", retry_after=RETRY_AFTER_S)
        return BackendUnavailable(f"{self._where}: {message}")


class TritonModel:
    """One version of the model, which every call names, so that no other can answer."""

    def __init__(
        self, contract: Contract, backend: TritonBackend, shared: SharedMemory | None = None
    ) -> None:
        self.contract = contract
        self.at_once = contract.max_batch_size
        self._backend = backend
        self._shared = shared

    async def work(self, job: Callable[[Infer], T], deadline: float, *, explain: bool = False) -> T:
        """Do a job, which may infer, in a thread that waits for the server; raises as `infer`."""
        loop = asyncio.get_running_loop()

        def begin(images: NDArray[np.uint8]) -> list[Future[Outputs]]:
            answer = self.infer(images, deadline, explain=explain)
            return [asyncio.run_coroutine_threadsafe(answer, loop)]

        return await self._backend.waiting.work(job, begin, deadline)

    async def infer(
        self, images: NDArray[np.uint8], deadline: float, *, explain: bool = False
    ) -> Outputs:
        """Inspect a batch (B, H, W, 3); raises subclasses of BackendError."""
        names = EXPLAINED if explain else OUTPUTS

        async def ask(image: InferInput) -> InferResult:
            seconds = deadline - asyncio.get_running_loop().time()
            if seconds <= 0:
                raise BackendTimeout("The deadline was over before the model was asked.")
            return await self._backend.client.infer(
                self.contract.name,
                [image],
                self.contract.version,
                headers=_trace_headers(),
                outputs=[InferRequestedOutput(name) for name in names],
                timeout=max(1, int(seconds * 1e6)),  # microseconds that it may wait in the queue
                client_timeout=seconds,
            )

        with self._backend.errors():
            if self._shared:
                result = await self._shared.infer(images, ask)
            else:
                result = await ask(in_message(images))
        return Outputs.from_tensors({name: result.as_numpy(name) for name in names}, len(images))
