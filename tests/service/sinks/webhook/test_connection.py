"""Requests to a real receiver, and to one that does as no library lets it."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread
from typing import Any

import pytest

from onegauge.service.sinks.errors import SinkUnavailable
from onegauge.service.sinks.webhook import connection
from onegauge.service.sinks.webhook.connection import MAX_READ, Answer, Connection
from rig.receiver import receiver

BODY = b"[]"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def to(url: str, timeout_s: float = 10.0) -> Connection:
    return Connection(url, ssl.create_default_context(), timeout_s)


def post(to: Connection) -> Answer:
    return to.post(BODY, {"Content-Type": "application/json"})


@contextmanager
def saying(*answers: bytes) -> Iterator[str]:
    """Answers the first request of each connection, and closes it."""

    def run() -> None:
        for answer in answers:
            peer, _ = server.accept()
            with peer:
                asked = b""
                while not asked.endswith(BODY):  # to close before would reset the connection
                    asked += peer.recv(65_536)
                peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/events"
        thread.join()


def test_a_connection_is_used_again():
    with receiver() as listening, closing(to(listening.url)) as connection:
        listening.answer.status, listening.answer.body = 200, b"thank you"
        post(connection)
        post(connection)
        first, second = listening.calls
    assert first.peer == second.peer


def test_a_connection_that_nobody_used_for_long_is_made_anew(monkeypatch):
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.0)
    with receiver() as listening, closing(to(listening.url)) as idle:
        post(idle)
        post(idle)
        first, second = listening.calls
    assert first.peer != second.peer


def test_a_connection_that_the_receiver_has_closed_is_made_anew():
    with saying(OK, OK) as url, closing(to(url)) as connection:
        assert post(connection).status == 200
        connection._http.sock.settimeout(10)
        assert connection._http.sock.recv(1, socket.MSG_PEEK) == b""  # the end has come
        assert post(connection).status == 200


class Watched:
    """A socket, and how many bytes it is to send within its timeout."""

    def __init__(self, watched: Any) -> None:
        self.watched, self.sizes = watched, list[int]()

    def sendall(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self.watched.sendall(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self.watched, name)


def test_each_part_of_a_request_has_its_time_on_a_slow_line():
    with receiver() as listening, closing(to(listening.url)) as connection:
        post(connection)
        line = connection._http.sock = Watched(connection._http.sock)
        body = b"[" + b" " * 10**6 + b"]"
        connection.post(body, {})
        assert listening.calls[1].body == body
    assert max(line.sizes) < 10**5


@pytest.mark.parametrize("answer", [bytes(MAX_READ + 1), bytes(2**22)])
def test_a_long_answer_is_not_read_to_its_end(answer):
    with receiver() as listening, closing(to(listening.url)) as connection:
        listening.answer.status, listening.answer.body = 200, answer
        post(connection)
        post(connection)
        first, second = listening.calls
    assert first.peer != second.peer


def test_an_answer_in_chunks_is_read():
    answer = b"HTTP/1.1 202 Taken\r\nTransfer-Encoding: chunked\r\nRetry-After: 7\r\n\r\n"
    with saying(answer + b"2\r\nok\r\n0\r\n\r\n") as url, closing(to(url)) as connection:
        assert post(connection) == Answer(202, "Taken", "7")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1", b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"]
)
def test_an_answer_that_is_none_is_no_arrival(answer):
    with saying(answer) as url, closing(to(url)) as connection, pytest.raises(SinkUnavailable):
        post(connection)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "mes..example"], ids=["long", "gap"])
def test_a_name_that_leads_nowhere_is_unavailable(host):
    with pytest.raises(SinkUnavailable):
        post(to(f"http://{host}/events"))


def test_an_address_may_have_all_that_addresses_have():
    with receiver() as listening, closing(to(f"{listening.url}/hall 2?a=ü")) as connection:
        post(connection)
    assert listening.calls[0].path == "/events/hall%202?a=%C3%BC"
    assert listening.calls[0].headers["Host"] == f"127.0.0.1:{listening.server_port}"
