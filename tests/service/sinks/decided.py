"""Events of what was decided, where it does not matter how it came about."""

from datetime import UTC, datetime
from itertools import count

from onegauge.service.sinks.event import INSPECTION, PART, Event

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
_numbers = count(1)


def decided(
    decision: str = "normal",
    *,
    line: str | None = "line-1",
    part: str | None = None,
    score: float | None = 0.5,
    time: datetime = NOON,
    unknown: bool = False,
    views: int | None = None,
    type: str = INSPECTION,
) -> Event:
    """An inspection of an image, which may be one of the views of a part."""
    data = {"line": line, "part": part, "decision": decision, "unknown_product": unknown}
    data |= {"score": score, "views": views} | ({} if type == PART else {"p_value": 0.25})
    return Event(f"{next(_numbers):032x}", type, "/onegauge/test", time, data)


def verdict(decision: str, part: str, **known: object) -> Event:
    """On a part of three views."""
    return decided(decision, part=part, views=3, type=PART, **known)
