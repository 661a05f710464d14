"""What a controller sees of a line: its last result, its counters, the answer to its trigger."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from math import nan
from threading import Lock
from time import monotonic
from typing import TypeAlias

from onegauge.service.sinks.event import Event

COUNTS, BEATS = 2**32, 2**16  # where counters and the heartbeat begin again at 0

Value: TypeAlias = int | float | str | datetime


class State(IntEnum):
    """How far the answer to a trigger is."""

    IDLE, WAITING, DONE, FAILED = range(4)


class Code(IntEnum):
    """A decision as a number."""

    NONE, NORMAL, ANOMALOUS, UNKNOWN, INCOMPLETE = range(5)


@dataclass(frozen=True)
class Result:
    """What was decided on an image, or on a part of several views; before it nothing."""

    code: Code = Code.NONE
    score: float = nan
    p_value: float = nan
    part: str = ""
    inspection: str = ""
    time: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    @classmethod
    def of(cls, event: Event) -> "Result":
        """An unknown product comes before the decision, which should not be trusted."""
        told = event.data
        code = Code.UNKNOWN if told["unknown_product"] else Code[told["decision"].upper()]
        numbers = (told.get(name) for name in ("score", "p_value"))
        score, p_value = (nan if number is None else float(number) for number in numbers)
        return cls(code, score, p_value, told["part"] or "", event.id, event.time)

    def values(self, prefix: str = "") -> dict[str, Value]:
        """All of it, each by its name after a prefix."""
        return {
            f"{prefix}Decision": int(self.code),
            f"{prefix}Score": self.score,
            f"{prefix}PValue": self.p_value,
            f"{prefix}Part": self.part,
            f"{prefix}Inspection": self.inspection,
            f"{prefix}Time": self.time,
        }


@dataclass(frozen=True)
class Shown:
    """All that is seen of a line at one moment."""

    state: State
    answered: int  # the trigger that `result` answers, 0 before it does
    result: Result
    last: Result
    counts: tuple[int, int, int, int]  # of results by code, from normal on
    heartbeat: int

    def values(self) -> dict[str, Value]:
        """Each by its name; the state is last, so that all is there when it changes."""
        normal, anomalous, unknown, incomplete = self.counts
        return {
            **self.result.values(),
            **self.last.values("Last"),
            "Total": sum(self.counts) % COUNTS,
            "Normal": normal,
            "Anomalous": anomalous,
            "Unknown": unknown,
            "Incomplete": incomplete,
            "Heartbeat": self.heartbeat,
            "ResultTrigger": self.answered,
            "State": int(self.state),
        }


class Station:
    """A line as one controller sees it; for any thread."""

    def __init__(
        self,
        timeout_s: float,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`clock` counts seconds; `now` is what the times of events are compared with."""
        self._timeout_s, self._clock, self._now = timeout_s, clock, now
        self._lock = Lock()
        self._began = clock()
        self._last = Result()
        self._counts = [0] * len(Code)
        self._trigger, self._part = 0, ""
        self._asked, self._deadline = now(), self._began
        self._state, self._answered, self._result = State.IDLE, 0, Result()

    def ask(self, trigger: int, part: str = "") -> None:
        """A controller has written a trigger: it wants the next result, of that part if any.

        The same number again changes nothing, as a controller may write it in each cycle. 0 takes
        the wish back; a result that is there stays until the next trigger.
        """
        with self._lock:
            if trigger == self._trigger:
                return
            self._trigger = trigger
            if not trigger:
                self._state = State.IDLE
                return
            self._part = part
            self._asked, self._deadline = self._now(), self._clock() + self._timeout_s
            self._state, self._answered, self._result = State.WAITING, 0, Result()

    def take(self, event: Event) -> None:
        """Something was decided on this line."""
        result = Result.of(event)
        with self._lock:
            self._give_up_late()
            self._last = result
            self._counts[result.code] = (self._counts[result.code] + 1) % COUNTS
            if self._state is State.WAITING and self._wants(result):
                self._answer(State.DONE, result)

    def shown(self) -> Shown:
        """What is to be seen now."""
        with self._lock:
            self._give_up_late()
            _, normal, anomalous, unknown, incomplete = self._counts
            return Shown(
                self._state,
                self._answered,
                self._result,
                self._last,
                (normal, anomalous, unknown, incomplete),
                int(self._clock() - self._began) % BEATS,
            )

    def _wants(self, result: Result) -> bool:
        """Whether it is of the part that is waited for, and not from before the trigger."""
        return result.time >= self._asked and self._part in ("", result.part)

    def _give_up_late(self) -> None:
        if self._state is State.WAITING and self._clock() >= self._deadline:
            self._answer(State.FAILED, Result())

    def _answer(self, state: State, result: Result) -> None:
        self._state, self._answered, self._result = state, self._trigger, result
