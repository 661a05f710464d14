"""A controller that is connected by Modbus TCP (MODBUS Messaging on TCP/IP, V1.0b)."""

import asyncio
import struct
from typing import cast

from onegauge.service.sinks.modbus.memory import Memory

_HEADER = struct.Struct(">HHHB")  # number, protocol, length of what follows, unit
_LENGTHS = range(2, 255)


class Controller(asyncio.Protocol):
    """A connection of a controller, among all that are open."""

    def __init__(self, memory: Memory, open_ones: set[asyncio.Transport]) -> None:
        self._memory, self._open_ones = memory, open_ones
        self._asked = b""  # and not answered yet
        self._reads = True  # its answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self._transport = cast("asyncio.Transport", transport)
        self._open_ones.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Somebody has gone."""
        self._open_ones.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer what is whole; who speaks another protocol is let go."""
        self._asked += data
        self._answer()

    def pause_writing(self) -> None:
        """Somebody asks and does not read the answers: there are no more before that."""
        self._reads = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The answers are read."""
        self._reads = True
        self._transport.resume_reading()
        self._answer()

    def _answer(self) -> None:
        data, at = self._asked, 0
        while self._reads and len(data) - at >= _HEADER.size:
            number, protocol, length, unit = _HEADER.unpack_from(data, at)
            if protocol or length not in _LENGTHS:
                self._transport.close()
                return
            start, end = at + _HEADER.size, at + _HEADER.size - 1 + length
            if end > len(data):
                break
            answer = self._memory.answer(data[start:end])
            self._transport.write(_HEADER.pack(number, 0, 1 + len(answer), unit) + answer)
            at = end
        self._asked = data[at:]
