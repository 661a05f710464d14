"""The Triton backend against a gRPC server that answers as it is told."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span
from tritonclient.grpc import InferResult, service_pb2_grpc
from tritonclient.grpc import service_pb2 as pb

from onegauge.service.errors import (
    BackendFailed,
    BackendOverloaded,
    BackendTimeout,
    BackendUnavailable,
    ContractError,
)
from onegauge.service.model.backends.shared_memory import Ask, SharedMemory, in_message
from onegauge.service.model.backends.triton import (
    ADMIN_HEADER,
    TritonBackend,
    TritonModel,
    admin_headers,
)
from onegauge.service.model.contract import Contract, parse_config
from onegauge.service.model.model import Infer
from onegauge.service.model.outputs import EXPLAINED, OUTPUTS, Outputs
from onegauge.service.settings import Settings

T = TypeVar("T")
IMAGES = np.zeros((3, 32, 48, 3), np.uint8)
SHAPES = {"anomaly_map": [8, 12], "neighbours": [5], "weights": [5], "points": [8, 12, 4]}


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    """A Triton that scores image i with i, or aborts with `error`."""

    def __init__(self, repository: Path) -> None:
        self.config = parse_config((repository / "onegauge" / "config.pbtxt").read_text())
        self.older, self.version = "0", "1"
        self.is_ready = True
        self.error: tuple[grpc.StatusCode, str] | None = None
        self.error_of_infer: tuple[grpc.StatusCode, str] | None = None
        self.asleep = False
        self.calls: list[str] = []
        self.request: pb.ModelInferRequest | None = None
        self.headers: dict[str, str] = {}

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

    async def RepositoryModelLoad(self, _request, context):
        await self._enter("load", context)
        return pb.RepositoryModelLoadResponse()

    async def ModelInfer(self, request, context):
        await self._enter("infer", context)
        if self.error_of_infer:
            await context.abort(*self.error_of_infer)
        self.request = request
        self.headers = dict(context.invocation_metadata())
        batch = request.inputs[0].shape[0]
        response = pb.ModelInferResponse(model_name="onegauge", model_version=self.version)
        for output in request.outputs:
            shape = [batch, *SHAPES.get(output.name, [1])]
            datatype = "INT32" if output.name == "neighbours" else "FP32"
            response.outputs.add(name=output.name, datatype=datatype, shape=shape)
            values = np.broadcast_to(np.arange(batch).reshape([-1] + [1] * (len(shape) - 1)), shape)
            values = values.astype(np.int32 if datatype == "INT32" else np.float32)
            response.raw_output_contents.append(values.tobytes())
        return response


@pytest.fixture
def server(gauge_repository: Path) -> Server:
    return Server(gauge_repository)


def session(
    server: Server, use: Callable[[TritonBackend], Awaitable[T]], *, shared_memory: bool = False
) -> T:
    """Use a backend that talks to `server`."""

    async def talk() -> T:
        listener = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(server, listener)
        port = listener.add_insecure_port("127.0.0.1:0")
        await listener.start()
        url = f"127.0.0.1:{port}"
        sharing = {"triton_shared_memory": True} if shared_memory else {}
        backend = TritonBackend(Settings(backend="triton", triton_url=url, **sharing))
        await backend.start()
        try:
            return await use(backend)
        finally:
            await backend.stop()
            await listener.stop(None)

    return asyncio.run(talk())


async def work(
    backend: TritonBackend, job: Callable[[Infer], T], timeout: float = 10, *, explain: bool = False
) -> T:
    contract = Contract("onegauge", "1", 32, 48, 8, 12, 4, "onnxruntime", {})
    model = TritonModel(contract, backend)
    return await model.work(job, asyncio.get_running_loop().time() + timeout, explain=explain)


async def infer(backend: TritonBackend, timeout: float = 10) -> Outputs:
    return await work(backend, lambda infer: infer(IMAGES), timeout)


def test_the_version_that_the_configuration_names_is_served(server):
    server.older, server.version = "9", "10"
    server.config.version_policy.specific.versions[:] = [9, 10]
    contract = session(server, lambda b: b.served())
    assert (contract.name, contract.version) == ("onegauge", "9")
    assert (contract.height, contract.width, contract.max_batch_size) == (32, 48, 4)


def test_the_newest_version_is_served_where_none_is_named(server):
    server.older, server.version = "9", "10"
    server.config.ClearField("version_policy")
    assert session(server, lambda b: b.served()).version == "10"


def test_infer_asks_for_our_outputs_alone_and_flattens_the_scalars(server):
    outputs: Outputs = session(server, infer)
    assert [output.name for output in server.request.outputs] == list(OUTPUTS)
    assert (server.request.inputs[0].name, server.request.inputs[0].datatype) == ("image", "UINT8")
    assert 5_000_000 < server.request.parameters["timeout"].int64_param <= 10_000_000
    assert server.request.model_version == "1"
    np.testing.assert_array_equal(outputs.score, [0, 1, 2])
    assert outputs.anomaly_map.shape == (3, 8, 12)


def test_infer_asks_for_what_explains_where_that_is_wanted(server):
    def ask(backend: TritonBackend) -> Awaitable[Outputs]:
        return work(backend, lambda infer: infer(IMAGES), explain=True)

    outputs: Outputs = session(server, ask)
    assert [output.name for output in server.request.outputs] == list(EXPLAINED)
    assert outputs.insight is not None
    neighbours, weights, points = outputs.insight
    assert (neighbours.dtype, neighbours[:, 0].tolist()) == (np.int32, [0, 1, 2])
    assert (weights.shape, points.shape) == ((3, 5), (3, 8, 12, 4))


def test_trace_goes_on_in_the_server_from_the_span_of_the_job(server):
    def span(number: int) -> AbstractContextManager[object]:
        return use_span(NonRecordingSpan(SpanContext(0xA, number, is_remote=False)))

    def job(infer: Infer) -> None:
        with span(0xC):
            infer(IMAGES)

    with span(0xB):
        session(server, lambda backend: work(backend, job))
    assert server.headers["traceparent"] == f"00-{0xA:032x}-{0xC:016x}-00"


def test_loading_lets_the_version_prove_itself(server):
    async def load(backend: TritonBackend) -> str:
        return (await backend.load(await backend.served())).contract.version

    assert session(server, load) == "1"
    assert server.request.inputs[0].shape == [1, 32, 48, 3]
    server.error_of_infer = (grpc.StatusCode.INTERNAL, "onnx runtime error")
    with pytest.raises(BackendFailed):
        session(server, load)


def test_reload_asks_the_server_to_load_the_model(server):
    session(server, lambda b: b.reload())
    assert server.calls == ["load"]


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Request for unknown model", BackendUnavailable),
        (grpc.StatusCode.NOT_FOUND, "unknown model", BackendUnavailable),
        (grpc.StatusCode.CANCELLED, "CANCELLED", BackendUnavailable),
        (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size", BackendOverloaded),
        (grpc.StatusCode.UNAVAILABLE, "Request timeout expired", BackendOverloaded),
        (grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape", BackendFailed),
        (grpc.StatusCode.INTERNAL, "onnx runtime error", BackendFailed),
    ],
)
def test_errors_of_the_server_become_our_own(server, code, message, error):
    server.error = (code, message)
    with pytest.raises(error, match=message):
        session(server, infer)


def test_full_queue_says_when_to_come_back(server):
    server.error = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    with pytest.raises(BackendOverloaded) as raised:
        session(server, infer)
    assert raised.value.extensions == {"retry_after": 1}


@pytest.mark.parametrize(
    "call", [lambda b: infer(b, 0.1), lambda b: b.served(), lambda b: b.ready()]
)
def test_every_call_has_a_deadline(server, call, monkeypatch):
    monkeypatch.setattr("onegauge.service.model.backends.triton.CONTROL_TIMEOUT_S", 0.1)
    server.asleep = True
    with pytest.raises(BackendTimeout, match="before the deadline"):
        session(server, call)


def test_server_that_came_up_is_reached_at_once_by_a_new_backend(server):
    async def scenario() -> None:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            url = f"127.0.0.1:{reserved.getsockname()[1]}"
        waiting, new = (TritonBackend(Settings(backend="triton", triton_url=url)) for _ in range(2))
        await waiting.start()
        with pytest.raises(BackendUnavailable, match="refused"):
            await infer(waiting)
        listener = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(server, listener)
        listener.add_insecure_port(url)
        await listener.start()
        await new.start()
        try:
            assert len((await infer(new)).score) == len(IMAGES)
        finally:
            await new.stop()
            await waiting.stop()
            await listener.stop(None)

    asyncio.run(scenario())


def test_call_that_comes_too_late_is_not_made(server):
    with pytest.raises(BackendTimeout):
        session(server, lambda b: infer(b, -1))
    assert server.calls == []


def test_several_servers_take_turns_and_one_that_is_gone_is_left_out(gauge_repository):
    async def scenario() -> None:
        servers = [Server(gauge_repository), Server(gauge_repository)]
        listeners, ports = [], []
        for each in servers:
            listener = grpc.aio.server()
            service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(each, listener)
            ports.append(listener.add_insecure_port("127.0.0.1:0"))
            await listener.start()
            listeners.append(listener)
        url = ",".join(f"127.0.0.1:{port}" for port in ports)
        backend = TritonBackend(Settings(triton_url=url))
        await backend.start()
        for _ in range(20):
            await infer(backend)
        assert [len(each.calls) > 0 for each in servers] == [True, True]
        await listeners[0].stop(None)
        for _ in range(20):
            await infer(backend)
        await backend.stop()
        await listeners[1].stop(None)

    asyncio.run(scenario())


def test_server_is_not_asked_by_a_proxy_of_the_environment(server, monkeypatch):
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert session(server, lambda b: b.served()).version == "1"


def test_server_that_is_not_there_is_unavailable():
    async def ask() -> None:
        backend = TritonBackend(Settings(triton_url="127.0.0.1:9"))
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
        session(server, lambda b: b.served())


def test_admin_key_is_read_without_its_line_break(tmp_path):
    assert admin_headers(None) is None
    for written in (b"sesame\n", b"\xef\xbb\xbfsesame \r\n"):
        (tmp_path / "key").write_bytes(written)
        assert admin_headers(tmp_path / "key") == {ADMIN_HEADER: "sesame"}
    with pytest.raises(BackendUnavailable, match="ONEGAUGE_TRITON_ADMIN_KEY"):
        admin_headers(tmp_path / "none")


async def score_of_loaded_model(backend: TritonBackend) -> float:
    """Of the last of IMAGES, which the server scores with 2."""
    model = await backend.load(await backend.served())
    outputs = await model.infer(IMAGES, asyncio.get_running_loop().time() + 10)
    return float(outputs.score[2])


def test_server_without_shared_memory_is_sent_messages(server):
    assert session(server, score_of_loaded_model, shared_memory=True) == 2
    assert server.request.raw_input_contents


@pytest.mark.parametrize(("shift", "score"), [(0.5, 2.0), (0.001, 2.001)])
def test_shared_memory_is_used_only_if_the_same_image_has_the_same_score_there(
    server, monkeypatch, shift, score
):
    class Shifted:
        def __init__(self, result: InferResult) -> None:
            self._result = result

        def as_numpy(self, name: str) -> np.ndarray:
            return self._result.as_numpy(name) + np.float32(shift)

    async def infer(_memory: SharedMemory, images: np.ndarray, ask: Ask) -> Shifted:
        return Shifted(await ask(in_message(images)))

    monkeypatch.setattr(SharedMemory, "infer", infer)
    found = session(server, score_of_loaded_model, shared_memory=True)
    assert found == pytest.approx(score)
