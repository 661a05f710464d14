"""The registers and bits of a line, as Modbus has them."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Literal, TypeAlias

from onegauge.service.sinks.station import Code, State, Station, Value

A_LINE = 100  # registers of a line, and bits: the next begins there
TEXT_WORDS = 16  # of two characters each
Kind: TypeAlias = Literal["uint16", "int16", "uint32", "float32", "text"]
WordOrder: TypeAlias = Literal["big", "little"]

_WORDS: dict[Kind, int] = {"uint16": 1, "int16": 1, "uint32": 2, "float32": 2, "text": TEXT_WORDS}
_FORMATS: dict[Kind, str] = {
    **{"uint16": "H", "int16": "h", "uint32": "I", "float32": "f"},
    "text": f"{2 * TEXT_WORDS}s",
}


@dataclass(frozen=True)
class Register:
    """A value of a line and where it is, counted from the first register of the line."""

    offset: int
    name: str
    kind: Kind

    @property
    def words(self) -> int:
        """How many registers it takes."""
        return _WORDS[self.kind]


REGISTERS = (
    Register(0, "State", "uint16"),
    Register(1, "ResultTrigger", "uint16"),
    Register(2, "Decision", "uint16"),
    Register(3, "ScoreThousandths", "int16"),
    Register(4, "Score", "float32"),
    Register(6, "PValue", "float32"),
    Register(8, "Time", "uint32"),
    Register(10, "Part", "text"),
    Register(26, "Inspection", "text"),
    Register(42, "Heartbeat", "uint16"),
    Register(44, "Total", "uint32"),
    Register(46, "Normal", "uint32"),
    Register(48, "Anomalous", "uint32"),
    Register(50, "Unknown", "uint32"),
    Register(52, "Incomplete", "uint32"),
    Register(54, "LastDecision", "uint16"),
    Register(55, "LastScoreThousandths", "int16"),
    Register(56, "LastScore", "float32"),
    Register(58, "LastPValue", "float32"),
    Register(60, "LastTime", "uint32"),
    Register(62, "LastPart", "text"),
)
TRIGGER = Register(80, "Trigger", "uint16")
TRIGGER_PART = Register(81, "TriggerPart", "text")
WRITABLE = range(TRIGGER.offset, TRIGGER_PART.offset + TRIGGER_PART.words)
BITS = (
    "Done",
    "Failed",
    "Normal",
    "Anomalous",
    "Unknown",
    "LastNormal",
    "LastAnomalous",
    "LastUnknown",
    "Heartbeat",
)
_DOUBLE = tuple(r.offset for r in REGISTERS if r.kind in ("uint32", "float32"))
_JUDGED = Code.NORMAL, Code.ANOMALOUS, Code.UNKNOWN


class Registers:
    """Those of one line: what its station shows, and what a controller has written."""

    def __init__(self, station: Station, word_order: WordOrder) -> None:
        self._station, self._word_order = station, word_order
        self._written = [0] * len(WRITABLE)

    def words(self) -> list[int]:
        """All of them now (100)."""
        shown = self._station.shown()
        values = {
            **shown.values(),
            "ScoreThousandths": _thousandths(shown.result.score),
            "LastScoreThousandths": _thousandths(shown.last.score),
        }
        told = (_packable(values[register.name]) for register in REGISTERS)
        words = list(_WORDS_OF_A_LINE.unpack(_LINE.pack(*told, *self._written)))
        if self._word_order == "little":
            for at in _DOUBLE:
                words[at], words[at + 1] = words[at + 1], words[at]
        return words

    def bits(self) -> list[bool]:
        """All of them now, in the order of BITS."""
        shown = self._station.shown()
        return [
            shown.state is State.DONE,
            shown.state is State.FAILED,
            *(shown.result.code is code for code in _JUDGED),
            *(shown.last.code is code for code in _JUDGED),
            bool(shown.heartbeat % 2),
        ]

    def write(self, offset: int, words: Sequence[int]) -> bool:
        """A controller writes; False where it may not."""
        if offset not in WRITABLE or offset + len(words) > WRITABLE.stop:
            return False
        start = offset - WRITABLE.start
        self._written[start : start + len(words)] = words
        trigger, *part = self._written
        self._station.ask(trigger, _text(part))
        return True


def _packable(value: Value) -> int | float | bytes:
    """A text is cut where it is packed, and has a ? for each letter that is not of ASCII."""
    if isinstance(value, str):
        return value.encode("ascii", "replace")
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _layout() -> struct.Struct:
    """All registers of a line, with nothing where there is none."""
    layout, end = ">", 0
    for register in REGISTERS:
        layout += f"{2 * (register.offset - end)}x{_FORMATS[register.kind]}"
        end = register.offset + register.words
    written = f"{2 * (WRITABLE.start - end)}x{len(WRITABLE)}H"
    return struct.Struct(f"{layout}{written}{2 * (A_LINE - WRITABLE.stop)}x")


_LINE, _WORDS_OF_A_LINE = _layout(), struct.Struct(f">{A_LINE}H")


def _thousandths(score: float) -> int:
    """A score × 1000 in 16 bits: what is more, or less, stays at the end; 0 is of none."""
    return 0 if isnan(score) else round(max(-32.768, min(32.767, score)) * 1000)


def _text(words: Sequence[int]) -> str:
    """What a controller has written, until the first zero, without blanks around it."""
    data = struct.pack(f">{len(words)}H", *words).partition(b"\0")[0]
    return data.decode("ascii", "replace").strip()
