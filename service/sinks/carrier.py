"""Has a wire carry events, in the thread that is the wire's own."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from onegauge.service.outbox.apart import Apart
from onegauge.service.sinks.errors import RefusedEvent
from onegauge.service.sinks.event import Event
from onegauge.service.sinks.wire import Wire


@dataclass
class Load:
    """Events on their way; of none it is only asked whether the wire works."""

    events: Sequence[Event]
    done: int = 0  # the first so many have arrived, or were refused
    refused: int = 0
    refusal: str = ""  # the last one


class Carrier:
    """One load at a time: a wire is opened before the first one, and closed after a failure."""

    def __init__(self, name: str, wire: Wire) -> None:
        self._wire = wire
        self._apart = Apart(f"wire {name}")
        self._open = False

    @property
    def open(self) -> bool:
        """Whether the wire is open."""
        return self._open

    def carry(self, load: Load) -> "Future[None]":
        """Done when all events have arrived or were refused; fails as the wire does."""
        return self._apart.begin(lambda: self._carry(load))

    def close(self) -> "Future[None]":
        """Done when the wire has let go."""
        return self._apart.begin(self._close)

    def _carry(self, load: Load) -> None:
        carried = False
        try:
            if not self._open:
                self._wire.open()
                self._open = True
            if not load.events:
                self._wire.send(())
            while load.done < len(load.events):
                self._send(load.events[load.done : load.done + self._wire.at_once], load)
            carried = True
        finally:
            if not carried:
                self._close()

    def _send(self, events: Sequence[Event], load: Load) -> None:
        """Send events, one by one where they are refused together."""
        try:
            self._wire.send(events)
        except RefusedEvent as exc:
            if len(events) > 1:
                for event in events:
                    self._send([event], load)
                return
            load.refused += 1
            load.refusal = f"{events[0].id}: {exc}"
        load.done += len(events)

    def _close(self) -> None:
        self._open = False
        self._wire.close()
