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
_FORMATS: dict[Kind, str] = {"uint16": ">H", "int16": ">h", "uint32": ">I", "float32": ">f"}


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

    def encode(self, value: Value, word_order: WordOrder) -> list[int]:
        """As so many words; a text is cut, and has a ? for each letter that is not of ASCII."""
        if isinstance(value, str):
            data = value.encode("ascii", "replace")[: 2 * self.words].ljust(2 * self.words, b"\0")
        else:
            number = int(value.timestamp()) if isinstance(value, datetime) else value
            data = struct.pack(_FORMATS[self.kind], number)
        words = list(struct.unpack(f">{self.words}H", data))
        return words[::-1] if self.kind != "text" and word_order == "little" else words


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
        words = [0] * A_LINE
        for register in REGISTERS:
            encoded = register.encode(values[register.name], self._word_order)
            words[register.offset : register.offset + register.words] = encoded
        words[WRITABLE.start : WRITABLE.stop] = self._written
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


def _thousandths(score: float) -> int:
    """A score × 1000 in 16 bits: what is more, or less, stays at the end; 0 is of none."""
    return 0 if isnan(score) else round(max(-32.768, min(32.767, score)) * 1000)


def _text(words: Sequence[int]) -> str:
    """What a controller has written, until the first zero, without blanks around it."""
    data = struct.pack(f">{len(words)}H", *words).partition(b"\0")[0]
    return data.decode("ascii", "replace").strip()
