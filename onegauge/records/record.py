"""What is known of an inspected image, and what a person says of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import getrandbits
from typing import Any

from onegauge.schemas import Opinion as Opinion
from onegauge.schemas import PartWord, Verdict

THRESHOLD = 1.0  # the one that scores are made for


@dataclass(frozen=True, kw_only=True)
class Record:
    """An inspected image: what was sent, what was answered, by what, and what was kept of it."""

    id: str
    time: datetime
    request_id: str
    line: str | None
    part: str | None
    filename: str | None
    model: str
    version: str
    model_digest: str | None
    decision: Verdict
    unknown_product: bool
    score: float
    threshold: float | None
    max_false_alarm_rate: float | None
    p_value: float
    novelty: float
    raw_score: float
    normal_location: float
    normal_scale: float
    regions: list[dict[str, Any]]
    references: list[dict[str, Any]]
    timing_ms: dict[str, float]
    key: str | None
    width: int
    height: int
    picture: str | None = None
    media_type: str | None = None
    preview: bool = False

    @property
    def margin(self) -> float:
        """Distance of the score from its threshold, or from 1 where a p-value decided."""
        return abs(self.score - (THRESHOLD if self.threshold is None else self.threshold))


@dataclass(frozen=True, kw_only=True)
class Part:
    """What was decided on a part of several views, once; an id sorts after those of its views."""

    id: str
    time: datetime
    line: str | None
    part: str
    views: int  # that were announced
    decision: PartWord
    score: float  # the highest of its views
    unknown_product: bool  # at least one of them
    inspections: list[str]  # ids of its views


@dataclass(frozen=True)
class Judgement:
    """What a person says of an inspection; None takes the last one back."""

    inspection: str
    time: datetime
    verdict: Opinion | None
    by: str | None
    note: str | None


def new_id(time: datetime) -> str:
    """An id that sorts by time: 12 hex digits of milliseconds since 1970, and 20 random ones."""
    # not by the system: it would have another thread go on in the middle of each answer
    return f"{first_id(time)}{getrandbits(80):020x}"


def first_id(time: datetime) -> str:
    """What sorts before all ids of a millisecond and after those of the one before."""
    since_1970 = time - datetime(1970, 1, 1, tzinfo=UTC)
    milliseconds = (since_1970.days * 86_400 + since_1970.seconds) * 1000
    return f"{max(0, milliseconds + since_1970.microseconds // 1000):012x}"
