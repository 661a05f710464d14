"""What libraries of servers log: a client that goes wrong must not fill the log."""

import logging
from time import monotonic

PAUSE_S = 60.0

_log = logging.getLogger("onegauge.sinks")


class Seldom(logging.Handler):
    """Passes warnings and errors on, of each place in a library one a minute at most."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[tuple[str, int], float] = {}  # when, by place

    @classmethod
    def listen(cls, library: str) -> None:
        """Have a library log this way alone."""
        logger = logging.getLogger(library)
        logger.setLevel(logging.WARNING)
        logger.handlers, logger.propagate = [cls()], False

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the message, without a trace through foreign code."""
        place, now = (record.pathname, record.lineno), monotonic()
        if now - self._said.get(place, -PAUSE_S) >= PAUSE_S:
            self._said[place] = now
            _log.log(record.levelno, record.getMessage())
