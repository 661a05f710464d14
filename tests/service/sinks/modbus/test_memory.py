"""Requests as bytes, of which a client would send none that is wrong."""

import struct

import pytest

from onegauge.service.sinks.modbus.memory import Memory
from onegauge.service.sinks.modbus.registers import Registers
from onegauge.service.sinks.station import Station

FUNCTION, ADDRESS, VALUE = 1, 2, 3
TWO_LINES = 200


@pytest.fixture
def memory() -> Memory:
    return Memory([Registers(Station(5.0), "big") for _ in range(2)])


def request(function: int, *numbers: int, more: bytes = b"") -> bytes:
    return struct.pack(f">B{len(numbers)}H", function, *numbers) + more


@pytest.mark.parametrize("function", [0, 5, 7, 15, 24, 43, 0x83, 255])
def test_function_that_is_not_known_is_refused_by_its_code(memory, function):
    assert memory.answer(request(function, 80, 1)) == bytes((function | 0x80, FUNCTION))


@pytest.mark.parametrize(("function", "most"), [(1, 2000), (2, 2000), (3, 125), (4, 125)])
def test_no_more_is_read_than_a_message_holds(function, most):
    memory = Memory([Registers(Station(5.0), "big") for _ in range(21)])
    size = most // 8 if function < 3 else 2 * most
    answer = memory.answer(request(function, 0, most))
    assert (answer[:2], len(answer)) == (bytes((function, size)), 2 + size)
    for count in (0, most + 1, 2**16 - 1):
        assert memory.answer(request(function, 0, count)) == bytes((function | 0x80, VALUE))


@pytest.mark.parametrize("function", [1, 2, 3, 4])
@pytest.mark.parametrize(("first", "count"), [(TWO_LINES, 1), (TWO_LINES - 1, 2), (65_535, 125)])
def test_nothing_is_read_behind_the_last_line(memory, function, first, count):
    assert memory.answer(request(function, first, count)) == bytes((function | 0x80, ADDRESS))
    assert memory.answer(request(function, TWO_LINES - 1, 1))[0] == function


@pytest.mark.parametrize(
    "asked",
    [
        request(3),
        request(3, 0),
        request(3, 0, 1, more=b"\0"),
        request(6, 80),
        request(16, 80, 1),
        request(16, 80, 1, more=b"\2\0"),
        request(16, 80, 1, more=b"\3\0\7\0"),
        request(16, 80, 2, more=b"\2\0\7"),
        request(16, 80, 1, more=b"\4\0\7"),
        request(16, 80, 0, more=b"\0"),
        request(22, 80, 0),
        request(23, 0, 1, 80, 1),
        request(23, 0, 1, 80, 1, more=b"\4\0\7\0\7"),
    ],
)
def test_request_of_a_wrong_length_changes_nothing(memory, asked):
    assert memory.answer(asked) == bytes((asked[0] | 0x80, VALUE))
    assert memory.answer(request(3, 80, 1)) == b"\3\2\0\0"


def test_what_is_written_is_repeated_as_the_protocol_has_it(memory):
    one = request(6, 80, 7)
    assert memory.answer(one) == one
    several = request(16, 80, 1, more=b"\2\0\x08")
    assert memory.answer(several) == several[:5]
    mask = request(22, 80, 0xFFF0, 0x0003)
    assert memory.answer(mask) == mask
    assert memory.answer(request(3, 80, 1)) == b"\3\2\0\3"


def test_mask_keeps_what_it_says(memory):
    memory.answer(request(6, 180, 0x1234))
    memory.answer(request(22, 180, 0xF0F0, 0x0FF5))
    assert memory.answer(request(3, 180, 1)) == b"\3\2" + struct.pack(">H", 0x1F35)


def test_write_and_read_writes_first_and_nothing_if_it_cannot_read(memory):
    written = struct.pack(">HHBH", 80, 1, 2, 7)
    assert memory.answer(request(23, TWO_LINES, 1, more=written)) == bytes((0x97, ADDRESS))
    assert memory.answer(request(3, 0, 2)) == b"\3\4\0\0\0\0"
    assert memory.answer(request(23, 80, 1, more=written)) == b"\x17\2\0\7"


def test_bits_come_in_bytes_of_eight_the_lowest_first(memory):
    memory.answer(request(6, 80, 7))
    memory.answer(request(6, 180, 7))
    assert memory.answer(request(1, 0, 9)) == b"\1\2\0\0"
    station = Station(0.0)
    registers = Registers(station, "big")
    registers.write(80, [7])  # which has failed at once
    assert Memory([registers]).answer(request(2, 0, 9))[:3] == b"\2\2\2"
    assert Memory([registers]).answer(request(2, 1, 9))[:3] == b"\2\2\1"
