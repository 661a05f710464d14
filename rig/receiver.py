"""A receiver of webhooks in this process, which does as it is told: takes, refuses, hangs."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from rig.authority import Identity


@dataclass(frozen=True)
class Call:
    """A request, as it came."""

    peer: tuple[str, int]  # of its connection
    path: str
    headers: Message
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        """One, or several."""
        told = json.loads(self.body)
        return told if isinstance(told, list) else [told]


@dataclass
class Answer:
    """How it answers; `refused` are ids of events upon which it is 422."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    refused: set[str] = field(default_factory=set)


class Receiver(ThreadingHTTPServer):
    """Notes all calls; `taken` has the events of those that were answered by 2xx."""

    daemon_threads = True

    def __init__(self, port: int, identity: Identity | None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.calls: list[Call] = []
        self.taken: list[dict[str, Any]] = []
        self.answer = Answer()
        self.goes_on = Event()  # else each call waits for it
        self.goes_on.set()
        self._scheme = "http"
        if identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity.certificate, identity.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self._scheme = "https"

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_port}/events"

    @property
    def ids(self) -> list[str]:
        """Of the events that were taken, in their order, some of them twice perhaps."""
        return [event["id"] for event in self.taken]

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that go."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        call = Call(self.client_address, self.path, self.headers, body)
        self.server.calls.append(call)
        self.server.goes_on.wait()
        answer = self.server.answer
        refused = answer.refused & {event["id"] for event in call.events}
        status = 422 if refused else answer.status
        if status < 300:
            self.server.taken += call.events
        self.send_response(status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver(port: int = 0, identity: Identity | None = None) -> Iterator[Receiver]:
    """Listens while the block lasts, encrypted where it has an identity."""
    with Receiver(port, identity) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.goes_on.set()
            server.shutdown()
            thread.join()
