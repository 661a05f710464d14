"""Which decisions a sink gets, and how many of them."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

Send: TypeAlias = Literal["all", "anomalous", "unknown"]


@dataclass(frozen=True)
class Choice:
    """By what was decided, and by line; None of `lines` for all."""

    send: Send = "all"
    lines: frozenset[str] | None = None

    def wants(self, line: str | None, decision: str, *, unknown: bool) -> bool:
        """Whether a decision is chosen; a product never seen counts as anomalous."""
        if self.lines is not None and line not in self.lines:
            return False
        if self.send == "all" or unknown:
            return True
        return self.send == "anomalous" and decision != "normal"


class Rate:
    """How many events may pass; None of `limit` for all."""

    def __init__(self, limit: str | None) -> None:
        self._limit: RateLimitItem | None = None
        if limit is not None:
            self._limit = parse(limit)
            self._limiter = MovingWindowRateLimiter(MemoryStorage())  # which begins a thread

    def allows(self) -> bool:
        """Whether one more may pass now, which then counts."""
        return self._limit is None or self._limiter.hit(self._limit)
