"""Events and wires as tests need them, where it does not matter what was decided."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event as Signal
from typing import Any

from onegauge.service.sinks.errors import RefusedEvent, SinkUnavailable
from onegauge.service.sinks.event import INSPECTION, Event
from onegauge.service.sinks.sink import Waiting

BEGAN = datetime(2026, 11, 30, 6, tzinfo=UTC)


def event(
    number: int, *, type: str = INSPECTION, time: datetime | None = None, **told: Any
) -> Event:
    """The event of a normal part, a second after the one before it."""
    time = time or BEGAN + timedelta(seconds=number)
    data = {"line": "press", "decision": "normal", "unknown_product": False}
    data |= {"part": str(number), "score": 0.5, **told}
    return Event(f"{number:032x}", type, "/onegauge/test", time, data)


def events(*numbers: int) -> list[Event]:
    return [event(number) for number in numbers]


def waiting(number: int, **values: Any) -> Waiting:
    """Something decided, of which there is an event."""
    made = event(number, **values)
    told = made.data["decision"], made.data["unknown_product"]
    return Waiting(made.line, *told, made.time, lambda: made)


class FakeWire:
    """A wire that does as it is told, and notes what it carries."""

    def __init__(self, at_once: int = 100) -> None:
        self.at_once = at_once
        self.log: list[str] = []  # what was called
        self.carried: list[int] = []  # numbers of events, each when it has arrived
        self.fails: Exception | None = None
        self.fails_at: int | None = None  # only once this event comes
        self.refuses: set[int] = set()
        self.goes_on = Signal()  # else a call of send waits for it
        self.goes_on.set()
        self.hangs_at: int | None = None  # only once this event comes
        self.began = Signal()  # a call of send with events

    def open(self) -> None:
        self.log.append("open")
        self._fail()

    def send(self, events: Sequence[Event]) -> None:
        if events:
            self.began.set()
        numbers = [int(event.id, 16) for event in events]
        if self.hangs_at is None or self.hangs_at in numbers:
            self.goes_on.wait(30)
        self.log.append(f"send {numbers}")
        self._fail(*numbers)
        if refused := self.refuses & set(numbers):
            raise RefusedEvent(f"no {refused}")
        self.carried += numbers

    def close(self) -> None:
        self.log.append("close")

    def _fail(self, *numbers: int) -> None:
        if self.fails and (self.fails_at is None or self.fails_at in numbers):
            raise self.fails

    def lose(self) -> None:
        """Take nothing any more."""
        self.fails = SinkUnavailable("it is gone")

    def find(self) -> None:
        """Take all again."""
        self.fails = None
