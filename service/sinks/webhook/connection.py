"""A connection to a receiver, kept open from one request to the next, where http.client is called.

A request by httpx takes five times as much of the CPU, which images want.
"""

import select
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from io import BytesIO
from time import monotonic

from httpx import URL

from onegauge.service.sinks.errors import SinkUnavailable

CONNECT_S = 5.0
KEEP_ALIVE_S = 2.0  # less than what servers close idle connections after: none is used as it goes
MAX_READ = 65_536  # bytes of an answer, which nobody wants: a longer one costs the connection
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Answer:
    """What of an answer says what became of a request."""

    status: int
    reason: str
    retry_after: str


class Connection:
    """To the receiver of one address, directly; for one thread."""

    def __init__(self, address: str, context: ssl.SSLContext, timeout_s: float) -> None:
        """Nothing is reached before something is posted."""
        url = URL(address)
        self._path, self._timeout_s = url.raw_path.decode(), timeout_s
        host, port = url.raw_host.decode(), url.port or PORTS[url.scheme]
        connect_s = min(CONNECT_S, timeout_s)
        self._http = (
            HTTPSConnection(host, port, timeout=connect_s, context=context)
            if url.scheme == "https"
            else HTTPConnection(host, port, timeout=connect_s)
        )
        self._used = 0.0

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises SinkUnavailable where no answer comes in time."""
        try:
            self._reach()
            # a file goes in pieces, each of which has the time that the whole would have at once
            length = {"Content-Length": str(len(body))}
            self._http.request("POST", self._path, BytesIO(body), {**headers, **length})
            answer = self._http.getresponse()
            self._read(answer)
        except (OSError, HTTPException, UnicodeError) as exc:  # the last of a name that is none
            raise SinkUnavailable(f"{type(exc).__name__}: {exc}") from exc
        self._used = monotonic()
        return Answer(answer.status, answer.reason, answer.headers.get("Retry-After", ""))

    def close(self) -> None:
        """Let go of the receiver."""
        self._http.close()

    def _reach(self) -> None:
        """Connect, unless a connection is there that the receiver has not closed."""
        if self._http.sock and (monotonic() - self._used > KEEP_ALIVE_S or self._has_ended()):
            self._http.close()
        if not self._http.sock:
            self._http.connect()
            self._http.sock.settimeout(self._timeout_s)

    def _has_ended(self) -> bool:
        """Whether something comes that nobody has asked for, such as the end."""
        poll = select.poll()
        poll.register(self._http.sock, select.POLLIN)
        return bool(poll.poll(0))

    def _read(self, answer: HTTPResponse) -> None:
        """Read the rest of an answer, so that the connection can be used again."""
        until, length = monotonic() + self._timeout_s, 0
        while chunk := answer.read1(MAX_READ):
            length += len(chunk)
            if length > MAX_READ or monotonic() > until:
                self._http.close()
                return
        if answer.length:
            raise IncompleteRead(b"", answer.length)
        answer.close()
