"""Trying again what fails for now: after pauses that grow, and said once."""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True)
class Pauses:
    """Pauses between tries, each twice as long as the one before."""

    first_s: float
    longest_s: float

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, up to half of it by chance less.

        By chance, so that what failed together does not all come back at once.
        """
        doublings = min(failures - 1, 30)  # more would not fit a float some day
        return min(self.first_s * 2.0**doublings, self.longest_s) * random.uniform(0.5, 1)


class Trouble:
    """Something that fails for now: said when it begins and when it ends, tried again between."""

    def __init__(self, pauses: Pauses, clock: Callable[[], float] = monotonic) -> None:
        self._pauses = pauses
        self._clock = clock
        self._failures = 0
        self._again = 0.0

    def waits(self) -> bool:
        """Whether it is too early to try again."""
        return self._failures > 0 and self._clock() < self._again

    def begins(self, message: str) -> None:
        """It has failed, once more perhaps: `message` is said the first time."""
        if self.waits():
            return  # more of the same
        if not self._failures:
            say(message)
        self._failures += 1
        self._again = self._clock() + self._pauses.after(self._failures)

    def ends(self, message: str) -> None:
        """It has worked: `message` is said if it had failed before."""
        if self._failures:
            say(message)
        self._failures = 0


def say(message: str) -> None:
    """One line on standard error, lost where nobody takes it: what goes on must not end by that."""
    if sys.stderr is None:  # closed from the start, as a service's may be
        return
    try:
        sys.stderr.write(f"onegauge: {message}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # a full disk, a pipe that was closed
        pass
