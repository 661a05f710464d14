import struct
from datetime import timedelta
from itertools import pairwise
from math import isnan

import pytest

from onegauge.service.sinks.modbus.registers import (
    A_LINE,
    BITS,
    REGISTERS,
    TRIGGER,
    TRIGGER_PART,
    WRITABLE,
    Registers,
)
from onegauge.service.sinks.station import Station
from tests.service.sinks.decided import NOON, decided, verdict

SCORE, LAST_SCORE, TOTAL, PART, TIME = 4, 56, 44, 10, 8


@pytest.fixture
def station() -> Station:
    return Station(5.0, now=lambda: NOON)


@pytest.fixture
def registers(station) -> Registers:
    return Registers(station, "big")


def floating(words: list[int], offset: int) -> float:
    return struct.unpack(">f", struct.pack(">2H", *words[offset : offset + 2]))[0]


def text(words: list[int], offset: int) -> bytes:
    return struct.pack(">16H", *words[offset : offset + 16])


def test_registers_fit_a_line_and_none_is_of_two():
    ends = [(r.offset, r.offset + r.words) for r in (*REGISTERS, TRIGGER, TRIGGER_PART)]
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert ends[-1][1] <= A_LINE
    assert list(WRITABLE) == list(range(80, 97))


def test_one_read_has_a_whole_line(registers):
    assert len(registers.words()) == A_LINE <= 125  # what one request of Modbus may ask for


def test_result_of_a_trigger_is_in_its_registers(registers, station):
    registers.write(80, [7])
    event = decided("anomalous", score=1.25, part="4711")
    station.take(event)
    words = registers.words()
    assert words[:4] == [2, 7, 2, 1250]
    assert floating(words, SCORE) == 1.25
    assert floating(words, 6) == 0.25
    assert words[TIME] << 16 | words[TIME + 1] == NOON.timestamp()
    assert text(words, PART) == b"4711".ljust(32, b"\0")
    assert text(words, 26) == event.id.encode()
    assert words[TOTAL : TOTAL + 10] == [0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    assert words[54:56] == [2, 1250]
    assert text(words, 62) == text(words, PART)


def test_last_result_goes_on_without_a_trigger(registers, station):
    station.take(decided(score=0.5))
    station.take(verdict("incomplete", "4711", score=None, time=NOON + timedelta(seconds=2)))
    words = registers.words()
    assert words[:4] == [0, 0, 0, 0]
    assert words[54:56] == [4, 0]
    assert isnan(floating(words, LAST_SCORE))
    assert words[60] << 16 | words[61] == NOON.timestamp() + 2


@pytest.mark.parametrize(
    ("score", "thousandths"),
    [(0.9996, 1000), (32.767, 32_767), (1e9, 32_767), (-0.5, 65_036), (-1e9, 32_768)],
)
def test_score_of_16_bits_stays_at_the_ends(registers, station, score, thousandths):
    station.take(decided(score=score))
    assert registers.words()[55] == thousandths


def test_word_order_turns_numbers_and_no_text(station):
    station.take(decided(score=1.25, part="4711"))
    big, little = Registers(station, "big").words(), Registers(station, "little").words()
    assert (
        big[LAST_SCORE : LAST_SCORE + 2] == little[LAST_SCORE : LAST_SCORE + 2][::-1] == [16288, 0]
    )
    assert little[TOTAL : TOTAL + 2] == [1, 0]
    assert little[62:78] == big[62:78]
    assert little[55] == big[55] == 1250


def test_long_and_foreign_names_are_cut_and_replaced(registers, station):
    station.take(decided(part="Prüfling-" + "x" * 40))
    assert text(registers.words(), 62) == b"Pr?fling-" + b"x" * 23


def test_what_was_written_can_be_read(registers):
    assert registers.write(80, [7, 0x3437, 0x3131])
    assert registers.words()[80:84] == [7, 0x3437, 0x3131, 0]


@pytest.mark.parametrize("part", ["4711", "471"])
def test_trigger_waits_for_the_part_that_was_written(registers, station, part):
    data = part.encode().ljust(32, b"\0")
    registers.write(81, struct.unpack(">16H", data))
    registers.write(80, [7])
    station.take(decided("anomalous", part="4710"))
    assert registers.words()[0] == 1
    station.take(decided(part=part))
    assert registers.words()[:3] == [2, 7, 1]


def test_part_padded_with_blanks_is_the_same(registers, station):
    registers.write(80, [7, *struct.unpack(">16H", b"4711".ljust(32))])
    station.take(decided(part="4711"))
    assert registers.words()[:3] == [2, 7, 1]


@pytest.mark.parametrize(("offset", "count"), [(0, 1), (79, 2), (97, 1), (96, 2)])
def test_nothing_else_is_written(registers, offset, count):
    assert not registers.write(offset, [7] * count)
    assert registers.words()[80:97] == [0] * 17


def test_bits_say_what_a_gate_needs(registers, station):
    def on() -> set[str]:
        return {name for name, on in zip(BITS, registers.bits(), strict=True) if on}

    assert on() == set()
    station.take(decided("anomalous"))
    assert on() == {"LastAnomalous"}
    registers.write(80, [7])
    station.take(decided())
    assert on() == {"Done", "Normal", "LastNormal"}
    station.take(decided(unknown=True))
    assert on() == {"Done", "Normal", "LastUnknown"}
    registers.write(80, [8])
    station.take(decided("anomalous", unknown=True))
    assert on() == {"Done", "Unknown", "LastUnknown"}
    registers.write(80, [9])
    station.take(verdict("incomplete", "4711"))
    assert on() == {"Done"}


def test_bits_of_a_failure_and_of_the_heartbeat():
    seconds = [0.0]
    registers = Registers(Station(5.0, lambda: seconds[0]), "big")
    registers.write(80, [7])
    seconds[0] = 5.0
    assert dict(zip(BITS, registers.bits(), strict=True)) == {
        **dict.fromkeys(BITS, False),
        "Failed": True,
        "Heartbeat": True,
    }
