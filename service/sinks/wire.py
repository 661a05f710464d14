"""What a way to a plant offers to its sink."""

from collections.abc import Sequence
from typing import Protocol

from onegauge.service.sinks.event import Event


class Wire(Protocol):
    """Brings events somewhere. All its methods are called in one thread, which is its own.

    It neither tries again nor keeps anything: that is its sink's.
    """

    @property
    def at_once(self) -> int:
        """How many events it is given at most in one call of `send`."""

    def open(self) -> None:
        """Connect, or begin to serve; raises SinkUnavailable."""

    def send(self, events: Sequence[Event]) -> None:
        """Bring events, which have all arrived when it returns.

        With no events it tells whether it could, as it is asked now and then. Raises
        SinkUnavailable, upon which it is closed and opened again later, and all of them come
        again; or RefusedEvent, upon which they come one by one, and one alone never again.
        """

    def close(self) -> None:
        """Let go; it may not be open, and nothing is raised."""
