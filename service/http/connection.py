"""HTTP/1.1 as uvicorn speaks it, with slow, half-closed and upgrading clients taken care of."""

import asyncio
import sys
from socket import SO_ERROR, SOL_SOCKET
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onegauge.service.http.disconnect import LOST
from onegauge.service.http.parser import Parser

HEADER_TIMEOUT_S = 5.0
MAX_HEADER_BYTES = 2**16
MAX_BODY_AHEAD = 2**18  # bytes of a body that may wait to be taken, as many as come at once
LOOK_S = 0.1  # between looks at whether a client that sends nothing more still listens
_FIRST_WORD = b"HTTP/1.1 "  # of every answer


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's, with limits on the header, and patience after the last byte.

    It is closed when no whole header comes in time; uvicorn closes what is idle between requests.
    A client that ends its sending still gets its answer. `Upgrade` is ignored, see `Parser`.
    """

    parser: Parser
    _lost: asyncio.Future[None]
    _header_timer: asyncio.TimerHandle | None = None
    _header_bytes = 0  # since the last that were of a body
    _look_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect a header."""
        super().connection_made(transport)
        self.parser = Parser(self)
        self._lost = self.loop.create_future()
        self._expect_header()

    def on_message_begin(self) -> None:
        """Expect the rest of a header, with the body of the request before still to be answered."""
        super().on_message_begin()
        self.scope["state"][LOST] = self._lost
        self._expect_header()

    def data_received(self, data: bytes) -> None:
        """Go on with a header, or with what follows."""
        awaited = self._header_timer
        self._header_bytes += len(data)
        super().data_received(data)
        # not of data that ended one request and began the header of the next
        too_many = self._header_bytes > MAX_HEADER_BYTES and awaited is self._header_timer
        if too_many and not self.transport.is_closing():
            self.send_400_response(f"The header has more than {MAX_HEADER_BYTES} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take what belongs to a header; what follows a body in chunks is for nobody."""
        if self._header_timer is not None:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Go on with a body, which has limits of its own.

        uvicorn would copy each piece twice, and stop reading at each that is longer than 64 KB.
        """
        self._header_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        if not cycle.body:
            cycle.body = body  # type: ignore[assignment]
        else:
            cycle.body = bytearray(cycle.body) if isinstance(cycle.body, bytes) else cycle.body
            cycle.body += body
        if len(cycle.body) > MAX_BODY_AHEAD:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_headers_complete(self) -> None:
        """Expect a body, whose limits are elsewhere."""
        if not self.parser.repeats_header():
            super().on_headers_complete()
            self._stop()

    def on_message_complete(self) -> None:
        """Expect the next request."""
        if not self.parser.repeats_header():
            super().on_message_complete()
            if not self.pipeline:
                self.flow.resume_reading()  # else nobody would hear of the connection's end

    def eof_received(self) -> bool:  # type: ignore[override]
        """Still answer a whole request; returns whether the connection stays open for that.

        A client that ends its sending and one that has gone look the same until they are spoken to:
        then who has gone resets the connection. So the first word of the answer is said already.
        """
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete:
            return False
        self._stop()
        cycle.keep_alive = False
        if not (cycle.response_started or self.pipeline):
            self.transport.write(_FIRST_WORD)
            cycle.transport = _Begun(self.transport)  # type: ignore[assignment]
            self._look()
        return True

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong with a request that cannot be parsed, too."""
        reason = sys.exception()
        super().send_400_response(f"{msg} {reason}" if reason else msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        super().connection_lost(exc)
        self._lost.set_result(None)
        self._stop()
        if self._look_timer is not None:
            self._look_timer.cancel()

    def _look(self) -> None:
        """End a connection that was reset, which nothing tells when nothing more is read."""
        if self.transport.get_extra_info("socket").getsockopt(SOL_SOCKET, SO_ERROR):
            self.transport.abort()
        else:
            self._look_timer = self.loop.call_later(LOOK_S, self._look)

    def _expect_header(self) -> None:
        if self._header_timer is None:
            self._header_bytes = 0
            self._header_timer = self.loop.call_later(HEADER_TIMEOUT_S, self.transport.close)

    def _stop(self) -> None:
        self._header_bytes = 0
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


class _Begun:
    """A transport on which the first word of the answer has gone already."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._said = _FIRST_WORD

    def write(self, data: bytes) -> None:
        self._transport.write(data.removeprefix(self._said))
        self._said = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
