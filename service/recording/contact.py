"""How long to leave alone what could not be reached."""

import logging
from collections.abc import Callable
from time import monotonic

from onegauge.pauses import Pauses

PAUSES = Pauses(first_s=0.5, longest_s=30.0)

_log = logging.getLogger("onegauge.records")


class Contact:
    """Whether something is worth trying: after each failure in a row it rests for longer."""

    def __init__(self, name: str, clock: Callable[[], float] = monotonic) -> None:
        self._name = name
        self._clock = clock  # seconds
        self._failures = 0  # in a row
        self._until = 0.0

    @property
    def lost(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0

    @property
    def due(self) -> bool:
        """Whether to try now."""
        return not self.lost or self._clock() >= self._until

    def failed(self, error: Exception) -> None:
        """Rest; the log tells of the first failure in a row."""
        if not self.lost:
            told = {"what": self._name, "detail": str(error)}
            _log.error("records cannot be written", extra={"fields": told})
        self._failures += 1
        self._until = self._clock() + PAUSES.after(self._failures)

    def succeeded(self) -> None:
        """Go on; the log tells so after a failure."""
        if self.lost:
            _log.info("records are written again", extra={"fields": {"what": self._name}})
        self._failures = 0
