"""The Triton backend against a gRPC server that answers as it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from service.backends import OUTPUTS, Outputs
from service.backends.triton import TritonBackend
from service.contract import parse_config
from service.errors import (
    BackendFailed,
    BackendOverloaded,
    BackendTimeout,
    BackendUnavailable,
    ContractError,
)

T = TypeVar("T")
IMAGES = np.zeros((3, 32, 48, 3), np.uint8)


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    """A Triton that scores image i with i, or aborts with `error`."""

    def __init__(self, repository: Path) -> None:
        self.config = parse_config((repository / "onegauge" / "config.pbtxt").read_text())
        self.older, self.version = "0", "1"
        self.is_ready = True
        self.error: tuple[grpc.StatusCode, str] | None = None
        self.asleep = False
        self.calls: list[str] = []
        self.request: pb.ModelInferRequest | None = None

    async def _enter(self, call: str, context: grpc.aio.ServicerContext) -> None:
        self.calls.append(call)
        if self.asleep:
            await asyncio.Event().wait()
        if self.error:
            await context.abort(*self.error)

    async def ModelMetadata(self, _request, context):
        await self._enter("metadata", context)
        return pb.ModelMetadataResponse(name="onegauge", versions=[self.older, self.version])

    async def ModelConfig(self, _request, context):
        await self._enter("config", context)
        return pb.ModelConfigResponse(config=self.config)

    async def ModelReady(self, _request, context):
        await self._enter("ready", context)
        return pb.ModelReadyResponse(ready=self.is_ready)

    async def ModelInfer(self, request, context):
        await self._enter("infer", context)
        self.request = request
        batch = request.inputs[0].shape[0]
        response = pb.ModelInferResponse(model_name="onegauge", model_version=self.version)
        for output in request.outputs:
            shape = [batch, 8, 12] if output.name == "anomaly_map" else [batch, 1]
            response.outputs.add(name=output.name, datatype="FP32", shape=shape)
            values = np.broadcast_to(np.arange(batch).reshape([-1] + [1] * (len(shape) - 1)), shape)
            response.raw_output_contents.append(values.astype(np.float32).tobytes())
        return response


@pytest.fixture
def server(gauge_repository: Path) -> Server:
    return Server(gauge_repository)


def session(server: Server, use: Callable[[TritonBackend], Awaitable[T]], timeout: float = 10) -> T:
    """Use a backend that talks to `server`."""

    async def talk() -> T:
        listener = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(server, listener)
        port = listener.add_insecure_port("127.0.0.1:0")
        await listener.start()
        backend = TritonBackend(f"127.0.0.1:{port}", "onegauge", timeout)
        await backend.start()
        try:
            return await use(backend)
        finally:
            await backend.stop()
            await listener.stop(None)

    return asyncio.run(talk())


def test_contract_is_read_from_the_newest_version_the_server_has(server):
    server.older, server.version = "9", "10"
    contract = session(server, lambda b: b.contract())
    assert (contract.name, contract.version) == ("onegauge", "10")
    assert (contract.height, contract.width, contract.max_batch_size) == (32, 48, 4)


def test_infer_asks_for_our_outputs_alone_and_flattens_the_scalars(server):
    outputs: Outputs = session(server, lambda b: b.infer(IMAGES))
    assert [output.name for output in server.request.outputs] == list(OUTPUTS)
    assert (server.request.inputs[0].name, server.request.inputs[0].datatype) == ("image", "UINT8")
    assert server.request.parameters["timeout"].int64_param == 10_000_000
    np.testing.assert_array_equal(outputs.score, [0, 1, 2])
    assert outputs.anomaly_map.shape == (3, 8, 12)


def test_contract_is_asked_for_once_and_again_when_another_version_answers(server):
    async def swap(backend: TritonBackend) -> list[str]:
        versions = []
        for server.version in ("1", "1", "2", "2"):
            await backend.contract()
            await backend.infer(IMAGES)
            versions.append((await backend.contract()).version)
        return versions

    assert session(server, swap) == ["1", "1", "2", "2"]
    assert server.calls.count("config") == 2


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Request for unknown model", BackendUnavailable),
        (grpc.StatusCode.NOT_FOUND, "unknown model", BackendUnavailable),
        (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size", BackendOverloaded),
        (grpc.StatusCode.UNAVAILABLE, "Request timeout expired", BackendOverloaded),
        (grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape", BackendFailed),
        (grpc.StatusCode.INTERNAL, "onnx runtime error", BackendFailed),
    ],
)
def test_errors_of_the_server_become_our_own(server, code, message, error):
    server.error = (code, message)
    with pytest.raises(error, match=message):
        session(server, lambda b: b.infer(IMAGES))


def test_full_queue_says_when_to_come_back(server):
    server.error = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    with pytest.raises(BackendOverloaded) as raised:
        session(server, lambda b: b.infer(IMAGES))
    assert raised.value.extensions == {"retry_after": 1}


@pytest.mark.parametrize(
    "call", [lambda b: b.infer(IMAGES), lambda b: b.contract(), lambda b: b.ready()]
)
def test_every_call_has_a_deadline(server, call):
    server.asleep = True
    with pytest.raises(BackendTimeout, match=r"0\.1 s"):
        session(server, call, timeout=0.1)


def test_server_that_is_not_there_is_unavailable():
    async def ask() -> None:
        backend = TritonBackend("127.0.0.1:9", "onegauge", 5)
        await backend.start()
        try:
            await backend.ready()
        finally:
            await backend.stop()

    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:9"):
        asyncio.run(ask())


def test_ready_when_the_server_has_the_model_ready(server):
    session(server, lambda b: b.ready())
    server.is_ready = False
    with pytest.raises(BackendUnavailable, match="onegauge is not ready"):
        session(server, lambda b: b.ready())


def test_foreign_model_is_refused(server):
    del server.config.output[:]
    with pytest.raises(ContractError):
        session(server, lambda b: b.contract())


def test_contract_is_read_anew_after_an_error(server):
    async def restart(backend: TritonBackend) -> int:
        await backend.contract()
        server.error = (grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape")
        with pytest.raises(BackendFailed):
            await backend.infer(IMAGES)
        server.error = None
        server.config.input[0].dims[:] = [64, 48, 3]
        return (await backend.contract()).height

    assert session(server, restart) == 64
