"""A gateway that is one function, for tests of what its clients do about failures."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx

MODEL = {"name": "m", "version": "1"}


@dataclass
class FakeGateway:
    """Calls a file anomalous if `bad` is in its name, and fails at the files that it is told."""

    failing: dict[str, Callable[[], httpx.Response]] = field(default_factory=dict)  # by the name
    is_ready: bool = True
    is_there: bool = True
    asked: list[list[str]] = field(default_factory=list)  # names of the files of each request
    calls: int = 0  # also those that nobody took

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer; a failure may raise."""
        self.calls += 1
        if not self.is_there:
            raise httpx.ConnectError("nobody listens")
        if request.url.path == "/readyz":
            content = {"status": "ready", "model": MODEL, "refused": None}
            return httpx.Response(200 if self.is_ready else 503, json=content)
        names = [name.decode() for name in re.findall(rb'filename="(.*?)"', request.content)]
        self.asked.append(names)
        for name in names:
            if name in self.failing:
                return self.failing[name]()
        return httpx.Response(200, json={"model": MODEL, "results": list(map(decided, names))})


def decided(name: str) -> dict[str, object]:
    """A result of `POST /v1/inspect`."""
    decision = "anomalous" if "bad" in name else "normal"
    result = {"index": 0, "filename": name, "decision": decision, "score": 0.5, "threshold": 1.0}
    result |= {"max_false_alarm_rate": None, "p_value": 0.5, "novelty": 0.1, "raw_score": 1.0}
    result |= {"unknown_product": False, "normal": {"location": 0.0, "scale": 1.0}, "regions": []}
    return result | {"anomaly_map": None, "timing_ms": {}}


def problem(status: int, detail: str = "it failed") -> Callable[[], httpx.Response]:
    """A failure that the gateway tells of."""
    details = {"type": "/problems/x", "title": "X", "status": status, "detail": detail}
    headers = {"content-type": "application/problem+json"}
    return lambda: httpx.Response(status, json=details, headers=headers)


def page(status: int) -> Callable[[], httpx.Response]:
    """What a proxy answers in place of the gateway."""
    return lambda: httpx.Response(status, html="<h1>Bad Gateway</h1>")


def error(exc: Exception) -> Callable[[], httpx.Response]:
    """A connection that breaks."""

    def break_off() -> httpx.Response:
        raise exc

    return break_off


@contextmanager
def listening(gateway: FakeGateway) -> Iterator[str]:
    """Its address on a real port, while the block lasts; what it raises breaks the connection."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = httpx.Request(self.command, f"http://gateway{self.path}", content=body)
            with suppress(httpx.TransportError):
                answer = gateway(request)
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["content-type"])
                self.end_headers()
                self.wfile.write(answer.content)
            if not gateway.is_there:
                server.shutdown()
                server.socket.close()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# Ways in which one picture may get no decision while others do
FAILURES = {
    "500": problem(500),
    "502": problem(502),
    "503": problem(503),
    "504": problem(504),
    "400": problem(400),
    "proxy": page(502),
    "no gateway": page(200),
    "too few results": lambda: httpx.Response(200, json={"model": MODEL, "results": []}),
    "no end": error(httpx.ReadTimeout("timed out")),
    "reset": error(httpx.ReadError("connection reset by peer")),
}
