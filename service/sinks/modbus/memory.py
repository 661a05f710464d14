"""What controllers ask of all lines, by functions (MODBUS Application Protocol, V1.1b3)."""

import struct
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import TypeVar

from onegauge.service.sinks.modbus.registers import A_LINE, Registers

MAX_READ, MAX_READ_BITS, MAX_WRITE = 125, 2000, 123  # what fits into a message
_FAILED = 0x80  # of a function

T = TypeVar("T")


class Refusal(IntEnum):
    """Why a request is not answered, by the code of the protocol."""

    FUNCTION, ADDRESS, VALUE = range(1, 4)


class Refused(Exception):
    """A request is not answered; with its Refusal."""


class Memory:
    """The registers and bits of all lines, one line after the other."""

    def __init__(self, lines: Sequence[Registers]) -> None:
        self._lines = lines
        self._functions: Mapping[int, Callable[[bytes], bytes]] = {
            **dict.fromkeys((1, 2), self._read_bits),
            **dict.fromkeys((3, 4), self._read),
            6: self._write_one,
            16: self._write_several,
            22: self._write_mask,
            23: self._write_and_read,
        }

    def answer(self, request: bytes) -> bytes:
        """To a function and what it has been given, in the same form."""
        try:
            if request[0] not in self._functions:
                raise Refused(Refusal.FUNCTION)
            return request[:1] + self._functions[request[0]](request[1:])
        except Refused as exc:
            return bytes((request[0] | _FAILED, exc.args[0]))
        except struct.error:  # it is shorter or longer than its function needs
            return bytes((request[0] | _FAILED, Refusal.VALUE))

    def _read(self, given: bytes) -> bytes:
        first, count = struct.unpack(">HH", given)
        return self._words(first, count)

    def _read_bits(self, given: bytes) -> bytes:
        first, count = struct.unpack(">HH", given)
        on = self._part(first, count, MAX_READ_BITS, _bits)
        number = sum(bit << position for position, bit in enumerate(on))
        size = -(-count // 8)
        return bytes((size,)) + number.to_bytes(size, "little")

    def _write_one(self, given: bytes) -> bytes:
        address, word = struct.unpack(">HH", given)
        self._write(address, [word])
        return given

    def _write_several(self, given: bytes) -> bytes:
        address, count, size = struct.unpack(">HHB", given[:5])
        self._write(address, _counted(count, size, given[5:]))
        return given[:4]

    def _write_mask(self, given: bytes) -> bytes:
        address, kept, put = struct.unpack(">HHH", given)
        (word,) = self._part(address, 1, 1, Registers.words)
        self._write(address, [word & kept | put & ~kept])
        return given

    def _write_and_read(self, given: bytes) -> bytes:
        first, many, address, count, size = struct.unpack(">HHHHB", given[:9])
        words = _counted(count, size, given[9:])
        self._words(first, many)  # what cannot be read is refused before anything is written
        self._write(address, words)
        return self._words(first, many)

    def _words(self, first: int, count: int) -> bytes:
        words = self._part(first, count, MAX_READ, Registers.words)
        return struct.pack(f">B{count}H", 2 * count, *words)

    def _part(
        self, first: int, count: int, most: int, of: Callable[[Registers], list[T]]
    ) -> list[T]:
        if not 0 < count <= most:
            raise Refused(Refusal.VALUE)
        line, end = first // A_LINE, -(-(first + count) // A_LINE)
        if end > len(self._lines):
            raise Refused(Refusal.ADDRESS)
        known = [value for registers in self._lines[line:end] for value in of(registers)]
        return known[first - A_LINE * line :][:count]

    def _write(self, address: int, words: Sequence[int]) -> None:
        line, offset = divmod(address, A_LINE)
        if line >= len(self._lines) or not self._lines[line].write(offset, words):
            raise Refused(Refusal.ADDRESS)


def _bits(line: Registers) -> list[bool]:
    """As many as a line has registers."""
    bits = line.bits()
    return bits + [False] * (A_LINE - len(bits))


def _counted(count: int, size: int, data: bytes) -> tuple[int, ...]:
    """The words of a request, which tells their number and their bytes."""
    if not 0 < count <= MAX_WRITE or size != 2 * count:
        raise Refused(Refusal.VALUE)
    return struct.unpack(f">{count}H", data)
