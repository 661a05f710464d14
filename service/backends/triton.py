"""A Triton Inference Server over gRPC, with a deadline on every call."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from service.backends import OUTPUTS, Outputs
from service.contract import IMAGE, Contract
from service.errors import (
    BackendError,
    BackendFailed,
    BackendOverloaded,
    BackendTimeout,
    BackendUnavailable,
)

RETRY_AFTER_S = 1
# gRPC's own backoff grows to two minutes, far longer than a restarted server takes.
_CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class TritonBackend:
    """One model of a Triton server; `timeout` in seconds holds for each call."""

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self._url = url
        self._model = model
        self._timeout = timeout
        self._contract: Contract | None = None

    async def start(self) -> None:
        """Create the client, which belongs to the running event loop; the server may come later."""
        self._client = InferenceServerClient(self._url, channel_args=_CHANNEL_OPTIONS)

    async def stop(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def ready(self) -> None:
        """Ask the server whether it has the model ready."""
        await self.contract()
        with self._call():
            if not await self._client.is_model_ready(self._model, client_timeout=self._timeout):
                raise BackendUnavailable(f"Triton at {self._url}: {self._model} is not ready.")

    async def contract(self) -> Contract:
        """The version that answered last; asked for again when another one answers."""
        if self._contract is None:
            with self._call():
                metadata = await self._client.get_model_metadata(
                    self._model, client_timeout=self._timeout
                )
            self._contract = await self._read_contract(max(metadata.versions, key=int, default=""))
        return self._contract

    async def infer(self, images: NDArray[np.uint8]) -> Outputs:
        """Inspect a batch (B, H, W, 3)."""
        image = InferInput(IMAGE, images.shape, "UINT8")
        image.set_data_from_numpy(images)
        with self._call():
            result = await self._client.infer(
                self._model,
                [image],
                outputs=[InferRequestedOutput(name) for name in OUTPUTS],
                timeout=int(self._timeout * 1e6),  # microseconds that it may wait in the queue
                client_timeout=self._timeout,
            )
        if self._contract and self._contract.version != result.get_response().model_version:
            self._contract = None
        return Outputs.from_tensors({name: result.as_numpy(name) for name in OUTPUTS}, len(images))

    async def _read_contract(self, version: str) -> Contract:
        with self._call():
            answer = await self._client.get_model_config(
                self._model, version, client_timeout=self._timeout
            )
        return Contract.from_config(answer.config, version)

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Turn what the client raises into our own errors."""
        try:
            yield
        except InferenceServerException as exc:
            self._contract = None  # the model may come back with other sizes
            raise self._error(exc) from exc

    def _error(self, exc: InferenceServerException) -> BackendError:
        code, message = str(exc.status()), f"Triton at {self._url}: {exc.message()}"
        if code == "StatusCode.DEADLINE_EXCEEDED":
            return BackendTimeout(f"Triton at {self._url} did not answer in {self._timeout} s.")
        if code != "StatusCode.UNAVAILABLE" and code != "StatusCode.NOT_FOUND":
            return BackendFailed(message)
        # A full queue and a request that waited there too long share the code of a lost server.
        if "queue" in message or "timeout expired" in message:
            return BackendOverloaded(message, retry_after=RETRY_AFTER_S)
        return BackendUnavailable(message)
