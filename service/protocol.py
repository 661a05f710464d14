"""HTTP/1.1 as uvicorn speaks it, but a header has to arrive in time and be of a size."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_TIMEOUT_S = 5.0
MAX_HEADER_BYTES = 2**16


class Protocol(HttpToolsProtocol):
    """Closes a connection that has begun nothing, or a header, and does not go on with it.

    uvicorn itself closes what is idle between two requests.
    """

    _header_timer: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Expect a header."""
        super().connection_made(transport)
        self._expect_header()

    def on_message_begin(self) -> None:
        """Expect the rest of a header, with the body of the request before still to be answered."""
        super().on_message_begin()
        self._expect_header()

    def data_received(self, data: bytes) -> None:
        """Go on with a header, or with what follows."""
        awaited = self._header_timer
        super().data_received(data)
        # not of data that ended one request and began the header of the next
        if awaited is not None and awaited is self._header_timer:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The header has more than {MAX_HEADER_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        """Expect a body, which is not watched here."""
        super().on_headers_complete()
        self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        super().connection_lost(exc)
        self._stop()

    def _expect_header(self) -> None:
        if self._header_timer is None:
            self._header_bytes = 0
            self._header_timer = self.loop.call_later(HEADER_TIMEOUT_S, self.transport.close)

    def _stop(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
