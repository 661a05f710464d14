"""The parser of requests: that of httptools, but `Upgrade` is ignored."""

from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser


class Parser(HttpRequestParser):
    """Parses the header of a request with `Upgrade` a second time, without that line.

    A server may ignore it (RFC 9110, 7.8), but httptools takes the body for the other protocol. The
    HTTP client of the JDK asks for HTTP/2 with its first request, and so does `curl --http2`.
    """

    def __init__(self, protocol: Any) -> None:
        """Tell `protocol`, whose `parser` is replaced and whose `url` and `headers` are read."""
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._protocol = protocol

    def repeats_header(self) -> bool:
        """Whether the header that was read will be parsed once more."""
        return self.should_upgrade() and self.get_method() != b"CONNECT"

    def feed_data(self, data: Any) -> None:
        """Go on with bytes of the connection; raises subclasses of HttpParserError."""
        parser = self
        while data:
            try:
                super(Parser, parser).feed_data(data)
            except HttpParserUpgrade as upgrade:
                data = memoryview(data)[upgrade.args[0] :]
                header = parser._header_without_upgrade()
                parser = self._protocol.parser = Parser(self._protocol)
                super(Parser, parser).feed_data(header)
            else:
                return

    def _header_without_upgrade(self) -> bytes:
        version = self.get_http_version().encode()
        start = b"%s %s HTTP/%s\r\n" % (self.get_method(), self._protocol.url, version)
        kept = (header for header in self._protocol.headers if header[0] != b"upgrade")
        return b"".join([start, *(b"%s: %s\r\n" % header for header in kept), b"\r\n"])
