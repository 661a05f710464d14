"""Brings events to a wire, or puts them by until it takes them again.

An event that comes twice has one id: so what was put by may be brought again after any failure.
What was put by first is brought first, and what is new comes after it.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from onegauge.service.observe.sinks import Tally
from onegauge.service.outbox.contact import Contact, Words
from onegauge.service.outbox.spool import Segment, Spool
from onegauge.service.sinks.carrier import Carrier, Load
from onegauge.service.sinks.errors import SinkUnavailable
from onegauge.service.sinks.event import Event

PATIENCE_S = 0.3  # after which what is under way is put by as well: a process may be killed
CATCH_UP_S = 0.2  # of bringing what was put by, between two looks at what is new
CLOSE_S = 2.0
TELL_EVERY_S = 60.0

_log = logging.getLogger("onegauge.sinks")
RECEIVER = Words(_log, "sink cannot be reached", "sink is reached again")
DISK = Words(_log, "events cannot be put by", "events are put by again")


@dataclass
class _UnderWay:
    """A load that the wire has, and the segment that has its events from `kept` on, too."""

    load: Load
    ends: "Future[None]"
    segment: Segment | None = None
    kept: int = 0
    late: bool = False

    @property
    def not_kept(self) -> Sequence[Event]:
        """Events that have not arrived and are not on disk."""
        on_disk = self.kept + len(self.segment.entries) if self.segment else 0
        return self.load.events[max(self.load.done, on_disk) :]


class Delivery:
    """For one thread; what can neither be brought nor put by is counted."""

    def __init__(
        self,
        name: str,
        carrier: Carrier,
        spool: Spool | None,
        tally: Tally,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`spool` is None where the last state alone counts: nothing is put by then."""
        self._name, self._carrier, self._spool, self._tally = name, carrier, spool, tally
        self._receiver = Contact(name, RECEIVER, clock)
        self._disk = Contact(name, DISK, clock)
        self._under_way: _UnderWay | None = None
        self._tell_again = 0.0
        self.last_error: str | None = None

    @property
    def unreachable(self) -> bool:
        """Whether the wire takes nothing now."""
        way = self._under_way
        return self._receiver.lost or (way is not None and way.late)

    @property
    def spooled(self) -> int:
        """Bytes on disk."""
        return self._spool.size if self._spool else 0

    @property
    def since(self) -> float | None:
        """The time of the oldest event that has not arrived, in seconds since 1970."""
        way = self._under_way
        times = [way.load.events[0].time.timestamp()] if way and way.load.events else []
        oldest = self._spool.oldest if self._spool else None
        return min(times if oldest is None else [*times, oldest], default=None)

    @property
    def free(self) -> bool:
        """Whether a load can be brought now."""
        return self._under_way is None and self._receiver.due

    @property
    def has_more(self) -> bool:
        """Whether something was put by that can be read."""
        return self.spooled > 0 and self._disk.due

    def begin(self) -> None:
        """Take over what an earlier process has put by."""
        try:
            if self._spool:
                self._spool.look()
        except OSError as exc:
            self._disk.failed(exc)

    def bring(self, events: Sequence[Event]) -> None:
        """Bring events after all that was put by, or put them by, too."""
        self._settle()
        if events and self.free and not self.has_more:
            self._carry(Load(events))
            return
        self.put_by(events)
        until = monotonic() + CATCH_UP_S
        while self.free and self.has_more and monotonic() < until:
            self._replay()

    def look(self) -> None:
        """See whether the wire works, where nothing is to be brought."""
        if self.free and not self.has_more:
            self._carry(Load(()))

    def rest(self, events: Sequence[Event]) -> None:
        """Put events by and let go of the wire."""
        self._settle()
        self.put_by(events)
        if self._under_way is None and self._carrier.open:
            self._wait(_UnderWay(Load(()), self._carrier.close()))

    def end(self) -> None:
        """Let go of the wire for good; what it has not taken is on disk."""
        self._settle(PATIENCE_S)
        if self._under_way:
            self._tally.count("stopped", len(self._under_way.not_kept))
        elif self._carrier.open:
            wait((self._carrier.close(),), CLOSE_S)

    def put_by(self, events: Sequence[Event]) -> None:
        """Have events on disk."""
        if not events:
            return
        if self._spool is None:
            self._tally.count("unreachable", len(events))
            return
        try:
            fit = self._add(self._spool, events)
        except OSError as exc:
            self._disk.failed(exc)
            self._tally.count("spool-failed", len(events))
            return
        self._tally.count("spool-full", len(events) - len(fit.entries))

    def _add(self, spool: Spool, events: Sequence[Event]) -> Segment:
        segment = spool.add([event.told() for event in events])
        self._disk.succeeded()
        return segment

    def _replay(self) -> None:
        """Bring the oldest of what was put by."""
        assert self._spool is not None
        try:
            segment = self._spool.first()
        except OSError as exc:
            self._disk.failed(exc)
            return
        if segment is None:
            return
        read = [(told, _read(told)) for told in segment.entries]
        good = [(told, event) for told, event in read if event]
        damaged = segment.damaged + len(read) - len(good)
        segment = replace(segment, entries=[told for told, _ in good], damaged=damaged)
        self._carry(Load([event for _, event in good]), segment)

    def _carry(self, load: Load, segment: Segment | None = None) -> None:
        self._wait(_UnderWay(load, self._carrier.carry(load), segment))

    def _wait(self, way: _UnderWay) -> None:
        self._under_way = way
        self._settle(PATIENCE_S)

    def _settle(self, within_s: float = 0.0) -> None:
        """Take note of what became of what was under way, if that is known."""
        way = self._under_way
        if way is None:
            return
        if not wait((way.ends,), within_s).done:
            way.late = True
            self._keep(way)
            return
        self._under_way = None
        self._note(way, way.ends.exception())

    def _keep(self, way: _UnderWay) -> None:
        """Put by what is under way for long, before anything that is newer."""
        first = way.load.done
        if self._spool is None or way.segment or first == len(way.load.events):
            return
        try:
            way.kept, way.segment = first, self._add(self._spool, way.load.events[first:])
        except OSError as exc:
            self._disk.failed(exc)

    def _note(self, way: _UnderWay, error: BaseException | None) -> None:
        load = way.load
        if load.refused:
            self._tally.count("refused", load.refused)
            self._tell_of(load)
        self._tally.count("delivered", load.done - load.refused)
        if error is None:
            self._receiver.succeeded()
        elif isinstance(error, SinkUnavailable):
            self.last_error = str(error)
            self._receiver.failed(error, error.rest_s)
            self.put_by(way.not_kept)
        else:  # that nobody has foreseen: the same events may bring it again
            self.last_error = repr(error)
            self._receiver.failed(RuntimeError(self.last_error))
            self._tally.count("error", len(load.events) - load.done)
            told = {"sink": self._name, "events": len(load.events) - load.done}
            _log.error("events are lost", exc_info=error, extra={"fields": told})
            load.done = len(load.events)
        if error is None or load.done > way.kept:
            self._forget(way)

    def _forget(self, way: _UnderWay) -> None:
        """Have on disk no longer what has arrived."""
        if self._spool is None or way.segment is None:
            return
        self._tally.count("damaged", way.segment.damaged)
        try:
            self._spool.cut(way.segment, way.load.done - way.kept)
        except OSError as exc:
            self._disk.failed(exc)
        else:
            self._disk.succeeded()

    def _tell_of(self, load: Load) -> None:
        """The log tells of what is refused, but not of each."""
        self.last_error = f"refused {load.refusal}"
        if monotonic() >= self._tell_again:
            self._tell_again = monotonic() + TELL_EVERY_S
            told = {"sink": self._name, "events": load.refused, "last": load.refusal}
            _log.warning("events are refused", extra={"fields": told})


def _read(told: dict[str, Any]) -> Event | None:
    """The event of an entry, None of an older version, perhaps."""
    try:
        return Event.from_told(told)
    except (KeyError, TypeError, ValueError):
        return None
