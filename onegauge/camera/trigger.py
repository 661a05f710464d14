"""The moments at which a frame is taken: at an interval, or when something says so."""

import os
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep
from typing import Protocol

from pydantic import ValidationError

from onegauge.camera.errors import CameraError, NoMoreFrames
from onegauge.camera.frames import has_name
from onegauge.pauses import say
from onegauge.schemas import Options

PART_WITHIN_S = 1.0  # after that the part is no longer where it was
CHUNK = 4096


@dataclass(frozen=True)
class Moment:
    """A frame is wanted."""

    until: float  # by the clock `monotonic`; later it would show something else
    part: str | None = None
    is_sure: bool = True  # else perhaps none comes


class Trigger(Protocol):
    """What tells the moments."""

    def wait(self, seconds: float) -> Moment | None:
        """The next moment, if it comes so soon; raises NoMoreFrames after the last."""


class Every:
    """At an interval, counted from the last moment: a camera may have taken long to open."""

    def __init__(self, seconds: float) -> None:
        self._every = seconds
        self._next = monotonic()

    def wait(self, seconds: float) -> Moment | None:
        """The moment that is due next."""
        now = monotonic()
        if self._next > now + seconds:
            sleep(seconds)
            return None
        sleep(max(0.0, self._next - now))
        now = monotonic()
        self._next = now + self._every  # what was missed is not made up for
        return Moment(now + max(self._every, PART_WITHIN_S))


class Input:
    """The camera's own: it tells by a frame that it was triggered."""

    def wait(self, seconds: float) -> Moment | None:
        """A frame may come at any time."""
        return Moment(monotonic() + seconds, is_sure=False)


class Lines:
    """Lines of text, each of which tells the part that is there now."""

    def __init__(self, file: int = 0) -> None:
        """Read a file descriptor, by default standard input."""
        self._file = file
        self._lines: SimpleQueue[tuple[float, bytes] | None] = SimpleQueue()
        self._has_ended = False
        # it waits in the system, for as long as nobody writes: it must not keep the process
        Thread(target=self._read, name="camera-trigger", daemon=True).start()

    def wait(self, seconds: float) -> Moment | None:
        """The part of the next line."""
        try:
            told = None if self._has_ended else self._lines.get(timeout=seconds)
        except Empty:
            return None
        if told is None:
            self._has_ended = True
            raise NoMoreFrames("standard input has ended")
        came, line = told
        return Moment(came + PART_WITHIN_S, _part(line))

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._file, CHUNK):  # `sys.stdin` would be locked at the end
            now = monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._lines.put((now, line))
        if rest:
            self._lines.put((monotonic(), rest))
        self._lines.put(None)


def trigger_of(every: float | None, trigger: str | None) -> Trigger:
    """By the options of the command; raises CameraError."""
    if every is not None and trigger is not None:
        raise CameraError("give --every or --trigger, not both")
    if trigger is None:
        return Every(1.0 if every is None else every)
    return Lines() if trigger == "-" else Input()


def _part(line: bytes) -> str | None:
    """The part that a line names; none, and it is said, where it cannot be one."""
    text = line.decode(errors="replace")
    try:
        part = Options(part=text).part
    except ValidationError:
        say(f"a frame is taken, but {text!r} cannot be a part")
        return None
    if part and not has_name(part):
        say(f"a frame is taken, but {text!r} is too long for the name of a file")
        return None
    return part
