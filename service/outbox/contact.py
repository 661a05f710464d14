"""How long to leave alone what could not be reached."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from onegauge.pauses import Pauses

PAUSES = Pauses(first_s=0.5, longest_s=30.0)


@dataclass(frozen=True)
class Words:
    """What a log says when something cannot be reached, and when it can again."""

    log: logging.Logger
    lost: str
    back: str


class Contact:
    """Whether something is worth trying: after each failure in a row it rests for longer."""

    def __init__(self, name: str, words: Words, clock: Callable[[], float]) -> None:
        self._name, self._words = name, words
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

    def failed(self, error: Exception, rest_s: float = 0.0) -> None:
        """Rest, for at least so long; the log tells of the first failure in a row."""
        if not self.lost:
            told = {"what": self._name, "detail": str(error)}
            self._words.log.error(self._words.lost, extra={"fields": told})
        self._failures += 1
        self._until = self._clock() + max(rest_s, PAUSES.after(self._failures))

    def succeeded(self) -> None:
        """Go on; the log tells so after a failure."""
        if self.lost:
            self._words.log.info(self._words.back, extra={"fields": {"what": self._name}})
        self._failures = 0
