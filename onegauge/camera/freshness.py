"""Whether a frame of a stream has just come, or has waited in a buffer on its way."""

LATE_S = 0.5  # more than this behind the stream's best, and a frame is of no use
DRIFT = 1e-3  # of a camera's clock against ours, at most
LEAST_STEP_S = 0.005  # between frames that come as they are taken
IN_STEP = 0.75  # of the time between two frames has to go by until the second comes
GAP_S = 10.0  # time stamps that jump further tell nothing


class Freshness:
    """Of one connection: what was buffered before or during a pause comes faster than it was taken.

    The time stamps of the frames are compared with our clock. Both show different times, so the
    frame that came soonest after its own time is the measure of the others.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None  # when it came, its time stamp
        self._best = 0.0  # least difference of the two
        self.late_since: float | None = None

    def is_fresh(self, now: float, stamp: float) -> bool:
        """Whether the frame with this time stamp, which came now, shows what is now; in seconds."""
        last, self._last = self._last, (now, stamp)
        if last is None or not -LEAST_STEP_S <= stamp - last[1] < GAP_S:
            self._best, self.late_since = now - stamp, None
            return False
        waited, step = now - last[0], stamp - last[1]
        if step <= 0:  # no time stamps
            self._best = now - stamp
        self._best = min(self._best + DRIFT * waited, now - stamp)
        if now - stamp - self._best > LATE_S:
            self.late_since = self.late_since or now
            return False
        self.late_since = None
        return waited >= max(IN_STEP * step, LEAST_STEP_S)
