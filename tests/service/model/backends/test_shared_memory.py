"""Shared memory with a server that sees it, forgets it, or never could."""

import asyncio
import logging
import mmap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import pytest
from tritonclient.grpc import InferInput, service_pb2_grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from onegauge.service.model.backends import shared_memory
from onegauge.service.model.backends.shared_memory import SharedMemory

T = TypeVar("T")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of /dev/shm, which others use, too."""
    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path)
    return tmp_path


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers with the first byte of each image, and knows where it read it."""

    def __init__(self) -> None:
        self.regions: dict[str, bytes | mmap.mmap] = {}
        self.sees = True
        self.broken = False
        self.looked_at = 0
        self.read: list[str] = []  # region of each inference, "message" where there was none
        self.restricted = ""
        self.leaving = self.leave_together = 0

    async def SystemSharedMemoryRegister(self, request, context):
        self.looked_at += 1
        given = dict(context.invocation_metadata()).get("admin-key", "")
        if not self.sees or given != self.restricted:
            await context.abort(grpc.StatusCode.INTERNAL, "Unable to open shared memory region")
        with (shared_memory.FOLDER / request.key.strip("/")).open("r+b") as file:
            self.regions[request.name] = mmap.mmap(file.fileno(), request.byte_size)
        return pb.SystemSharedMemoryRegisterResponse()

    async def SystemSharedMemoryUnregister(self, request, _context):
        self.leaving += 1
        while self.leaving < self.leave_together:
            await asyncio.sleep(0.01)
        del self.regions[request.name]
        return pb.SystemSharedMemoryUnregisterResponse()

    async def ModelInfer(self, request, context):
        (image,) = request.inputs
        if self.broken:
            await context.abort(grpc.StatusCode.INTERNAL, "out of memory")
        if "shared_memory_region" in image.parameters:
            name = image.parameters["shared_memory_region"].string_param
            if name not in self.regions:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"Unable to find region: '{name}'")
            size = image.parameters["shared_memory_byte_size"].int64_param
            data = self.regions[name][:size]
        else:
            name, data = "message", request.raw_input_contents[0]
        self.read.append(name)
        firsts = np.frombuffer(data, np.uint8).reshape(image.shape)[:, 0, 0, 0]
        response = pb.ModelInferResponse()
        response.outputs.add(name="score", datatype="FP32", shape=[len(firsts)])
        response.raw_output_contents.append(firsts.astype(np.float32).tobytes())
        return response


def session(server: Server, use: Callable[["Caller"], Awaitable[T]], key: str = "") -> T:
    """Use shared memory with a server."""

    async def talk() -> T:
        listener = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(server, listener)
        port = listener.add_insecure_port("127.0.0.1:0")
        await listener.start()
        async with InferenceServerClient(f"127.0.0.1:{port}") as client:
            caller = Caller(client, key)
            try:
                return await use(caller)
            finally:
                await caller.memory.close()
                await listener.stop(None)

    return asyncio.run(talk())


class Caller:
    def __init__(self, client: InferenceServerClient, key: str) -> None:
        self.client = client
        self.memory = SharedMemory(client, {"admin-key": key} if key else None)

    async def score(self, *shades: int) -> list[float]:
        """What the server sees of images of these shades."""
        images = np.stack([np.full((4, 6, 3), shade, np.uint8) for shade in shades])

        async def ask(image: InferInput):
            return await self.client.infer("m", [image])

        return list((await self.memory.infer(images, ask)).as_numpy("score"))


def test_server_reads_the_images_where_they_lie(folder):
    async def scenario(caller: Caller) -> None:
        assert await caller.score(7, 9) == [7, 9]
        assert await caller.score(3, 4) == [3, 4]

    server = Server()
    session(server, scenario)
    first, second = server.read
    assert first == second != "message"
    assert server.looked_at == 1
    assert server.regions == {}  # let go at the end
    assert not list(folder.iterdir())  # no name outlives the call that made it


def test_calls_beside_each_other_have_places_of_their_own():
    async def scenario(caller: Caller) -> None:
        scores = await asyncio.gather(*(caller.score(shade) for shade in range(8)))
        assert scores == [[shade] for shade in range(8)]

    server = Server()
    session(server, scenario)
    assert 1 < len(set(server.read)) <= 8


def test_larger_batch_gets_a_larger_place_and_the_smaller_one_is_given_back():
    async def scenario(caller: Caller) -> None:
        assert await caller.score(1) == [1]
        assert await caller.score(2, 3, 4) == [2, 3, 4]
        assert await caller.score(5) == [5]
        assert len(server.regions) == 1

    server = Server()
    session(server, scenario)
    small, large, again = server.read
    assert small != large == again


def test_server_that_was_started_anew_is_told_of_new_places():
    async def scenario(caller: Caller) -> None:
        await asyncio.gather(caller.score(1), caller.score(2))
        server.regions.clear()
        assert await caller.score(3) == [3]
        assert await caller.score(4) == [4]

    server = Server()
    session(server, scenario)
    assert server.read[2] == "message"
    assert server.read[3] not in ("message", *server.read[:2])


def test_server_that_sees_no_memory_is_sent_messages_and_asked_again_later(
    caplog, monkeypatch, folder
):
    async def scenario(caller: Caller) -> None:
        for shade in range(3):
            assert await caller.score(shade) == [shade]
        assert server.looked_at == 1
        server.sees = True
        monkeypatch.setattr(shared_memory, "AGAIN_S", 0)
        caller.memory._blind_until = 0
        assert await caller.score(4) == [4]

    server = Server()
    server.sees = False
    with caplog.at_level(logging.WARNING):
        session(server, scenario)
    assert server.read[:3] == ["message"] * 3
    assert server.read[3] != "message"
    assert caplog.text.count("in messages") == 1
    assert not list(folder.iterdir())


@pytest.mark.parametrize("lacking", ["folder", "room"])
def test_machine_without_room_sends_messages(lacking, folder, monkeypatch):
    async def scenario(caller: Caller) -> None:
        assert await caller.score(7) == [7]

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if lacking == "folder":
        monkeypatch.setattr(shared_memory, "FOLDER", folder / "missing")
    else:
        monkeypatch.setattr("os.posix_fallocate", no_room)
    server = Server()
    session(server, scenario)
    assert (server.read, server.looked_at) == (["message"], 0)
    assert not list(folder.iterdir())


def test_server_that_restricts_shared_memory_is_given_the_key():
    server = Server()
    server.restricted = "sesame"
    session(server, lambda caller: caller.score(7), key="sesame")
    assert server.read != ["message"]


def test_failed_inference_is_not_tried_again_and_keeps_its_place():
    async def scenario(caller: Caller) -> None:
        await caller.score(1)
        server.broken = True
        with pytest.raises(InferenceServerException, match="out of memory"):
            await caller.score(2)
        server.broken = False
        assert await caller.score(3) == [3]

    server = Server()
    session(server, scenario)
    assert server.looked_at == 1
    assert len(set(server.read)) == 1


def test_a_server_that_hangs_at_the_end_is_waited_for_once(caplog):
    server = Server()
    server.leave_together = 3  # and none before

    async def scenario(caller: Caller) -> None:
        await asyncio.gather(*(caller.score(shade) for shade in range(3)))
        assert len(server.regions) == 3

    session(server, scenario)
    assert not server.regions
    assert not caplog.records
