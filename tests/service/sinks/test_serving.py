import asyncio
import socket
from contextlib import asynccontextmanager
from queue import SimpleQueue
from threading import Event

import pytest

from onegauge.service.sinks.errors import SinkUnavailable
from onegauge.service.sinks.serving import Serving
from rig.address import free_address
from tests.line import wait_until

WITHIN_S = 30.0


def serving(listening) -> Serving:
    host, _, port = free_address().partition(":")
    return Serving("test", host, int(port), listening)


def alive(server: Serving) -> bool:
    try:
        server.check()
    except SinkUnavailable:
        return False
    return True


def test_listens_until_it_is_stopped_and_does_what_it_is_given():
    told: SimpleQueue[str] = SimpleQueue()

    @asynccontextmanager
    async def listening():
        told.put("listens")
        yield
        told.put("ends")

    server = serving(listening)
    assert not alive(server)
    server.stop()  # of what has not begun
    for _ in range(2):
        server.start()
        assert told.get(timeout=WITHIN_S) == "listens"
        assert alive(server)
        server.soon(lambda: told.put("does"))
        assert told.get(timeout=WITHIN_S) == "does"
        server.stop()
        assert told.get(timeout=WITHIN_S) == "ends"
        assert not alive(server)
        server.soon(lambda: told.put("late"))  # nobody is there to do it, or to complain
    assert told.empty()


def test_nobody_waits_for_a_server_that_is_being_built():
    built, listened = Event(), Event()

    @asynccontextmanager
    async def listening():
        await asyncio.to_thread(built.wait, WITHIN_S)
        listened.set()
        yield

    server = serving(listening)
    server.start()
    server.check()
    assert not listened.is_set()
    built.set()
    server.stop()
    assert listened.is_set()


def test_server_that_fails_says_so_to_who_sends_next(caplog):
    @asynccontextmanager
    async def listening():
        raise OSError("no sockets are left")
        yield

    server = serving(listening)
    server.start()
    wait_until(lambda: not alive(server))
    assert "the test server on 127.0.0.1" in caplog.text
    assert "no sockets are left" in caplog.text


def test_port_of_another_is_refused_before_anything_is_built():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = Serving("test", "127.0.0.1", port, pytest.fail)
        with pytest.raises(SinkUnavailable, match=f"test server on 127.0.0.1:{port} cannot listen"):
            server.start()
    server.stop()
