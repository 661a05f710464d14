"""The stations of the lines that a server shows."""

from collections.abc import Callable, Iterable, Sequence

from onegauge.schemas import NO_LINE
from onegauge.service.sinks.event import INSPECTION, Event
from onegauge.service.sinks.station import Station

MAX_LINES = 100  # that appear by themselves, since a client may name any


class Stations:
    """A station a line: of the lines that are listed, or else of each as it is first heard of."""

    def __init__(self, lines: Sequence[str] | None, station: Callable[[], Station]) -> None:
        self._listed, self._station = lines is not None, station
        self._by_line = {line: station() for line in lines or ()}

    def take(self, events: Iterable[Event]) -> None:
        """What was decided; of a part whose views are decided together that alone counts."""
        for event in events:
            if event.type == INSPECTION and event.data.get("views") is not None:
                continue
            if station := self._of(event.line or NO_LINE):
                station.take(event)

    def forget_triggers(self) -> None:
        """A server begins to listen, where no controller has written yet."""
        for station in self._by_line.values():
            station.ask(0)

    def __getitem__(self, line: str) -> Station:
        """The station of a line that is shown; raises KeyError for another."""
        return self._by_line[line]

    def lines(self) -> Sequence[str]:
        """The lines that are shown, in the order listed or heard of."""
        return tuple(self._by_line)

    def _of(self, line: str) -> Station | None:
        if line not in self._by_line and not self._listed and len(self._by_line) < MAX_LINES:
            self._by_line[line] = self._station()
        return self._by_line.get(line)
