"""The benchmarks' load: what it measures of servers whose behaviour is known."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.support.load import load

STALL_S = 0.6
WITHIN_S = 60  # what a machine with much other work keeps
TARGET = "/inspect?line=press-3"


@contextmanager
def answering(answer: Callable[[int], int]) -> Iterator[str]:
    """The address of a server whose n-th request gets the status `answer(n)`, 0: no answer."""
    numbers = iter(range(10**6))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == TARGET
            assert self.rfile.read(int(self.headers["Content-Length"])) == b"body"
            status = answer(next(numbers))
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{TARGET}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def body(tmp_path: Path) -> Path:
    file = tmp_path / "body"
    file.write_bytes(b"body")
    return file


def test_closed_load_asks_again_as_soon_as_it_is_answered(body):
    under_way, most, lock, all_there = 0, 0, threading.Lock(), threading.Event()

    def answer(_: int) -> int:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            if under_way == 3:
                all_there.set()
        assert all_there.wait(WITHIN_S)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return 200

    with answering(answer) as url:
        found = load(url, body, "text/plain", 2, connections=3)
    assert most == 3
    assert list(found["statuses"]) == ["200"]
    assert found["statuses"]["200"] > 3
    assert found["rate"] <= 150
    assert found["p50"] >= 0.02


def test_open_load_blames_a_stall_for_all_who_would_have_come_in_it(body):
    gate = threading.Lock()

    def answer(number: int) -> int:
        with gate:  # one at a time, of which the first takes long
            time.sleep(STALL_S if number == 0 else 0)
        return 200

    with answering(answer) as url:
        found = load(url, body, "text/plain", 1, rate=60)
    assert 30 < found["statuses"]["200"] < 100, "it does not wait for the server"
    assert found["max"] >= STALL_S
    assert found["p50"] > STALL_S / 10, "half of them were due while it stalled"


def test_refusals_and_lost_connections_are_told_apart_from_answers(body):
    with answering(lambda number: (200, 503, 0)[number % 3]) as url:
        found = load(url, body, "text/plain", 2, connections=1)
    statuses = found["statuses"]
    assert set(statuses) == {"0", "200", "503"}
    assert abs(statuses["200"] - statuses["0"]) <= 1
    assert statuses["200"] - found["rate"] * 2 in (0, 1), "the last may come after the end"
