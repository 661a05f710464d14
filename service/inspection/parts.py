"""The views of a part → one decision, when the last one is in or their time is over.

They come in one request or in several, at the same time and in any order. A view is known by the
name of its camera, else by its bytes: what is sent again is no further view.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, TypeAlias

from onegauge.records.record import new_id
from onegauge.schemas import Answer, Decision, PartDecision, PartWord
from onegauge.service.inspection.inquiry import Inquiry
from onegauge.service.observe.metrics import Metrics

MAX_PARTS = 1000  # that wait, and that are remembered

Key: TypeAlias = tuple[str | None, str]  # line and part
_log = logging.getLogger("onegauge.parts")


class Timer(Protocol):
    """What is to be called later."""

    def cancel(self) -> object:
        """Have it not called."""


class Clock(Protocol):
    """What is used of an event loop."""

    def time(self) -> float:
        """Its time in seconds."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Have something called after so many seconds."""


@dataclass(frozen=True)
class View:
    """One of the pictures of a part."""

    digest: bytes
    inspection: str | None
    anomalous: bool
    unknown_product: bool
    score: float


Views: TypeAlias = Mapping[str | bytes, View]  # by the name of the camera, else by the digest


@dataclass(frozen=True)
class DecidedPart:
    """The decision of a part as it is told, once."""

    id: str  # which sorts by time
    time: datetime
    line: str | None
    decision: PartDecision
    score: float  # the highest of its views
    unknown_product: bool  # at least one of them


@dataclass
class _Waiting:
    """A part whose views come in."""

    timer: Timer
    announced: int = 0
    views: dict[str | bytes, View] = field(default_factory=dict)

    def said(self, part: str, *, ended: bool) -> PartDecision:
        """What is known of it."""
        inspections = [view.inspection for view in self.views.values() if view.inspection]
        return PartDecision(
            part=part,
            views=self.announced,
            seen=len(self.views),
            missing=max(0, self.announced - len(self.views)),
            decision=self._word() if ended else None,
            inspections=inspections,
        )

    def _word(self) -> PartWord:
        if any(view.anomalous for view in self.views.values()):
            return "anomalous"
        return "normal" if len(self.views) >= self.announced else "incomplete"


@dataclass(frozen=True)
class _Told:
    """A part that is decided, as long as requests that were answered may come again."""

    until: float  # in the clock's time
    digests: Mapping[str | bytes, bytes]
    decision: PartDecision

    def has(self, views: Views) -> bool:
        """Whether it was decided by these very views."""
        return all(self.digests.get(name) == view.digest for name, view in views.items())


class Parts:
    """Collects the views of parts and tells their decisions. For the event loop."""

    def __init__(
        self,
        timeout_s: float,
        metrics: Metrics,
        tell: Callable[[DecidedPart], None],
        clock: Callable[[], Clock] = asyncio.get_running_loop,
    ) -> None:
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._tell = tell
        self._clock = clock
        self._waiting: dict[Key, _Waiting] = {}  # the oldest first
        self._told: dict[Key, _Told] = {}
        metrics.parts_waiting.set_function(lambda: len(self._waiting))

    def take(self, inquiry: Inquiry, answer: Answer) -> PartDecision | None:
        """What is known of the part of an answered request, None where no views are asked for.

        Images without a decision are no views.
        """
        options = inquiry.options
        if options.part is None or options.views is None:
            return None
        if not (views := _views(inquiry, answer)):
            return None
        key = options.line, options.part
        if told := self._told_before(key, views):
            return told.decision
        waiting = self._waiting.get(key) or self._begin(key)
        waiting.announced = options.views
        waiting.views.update(views)
        if len(waiting.views) >= waiting.announced:
            return self._end(key)
        return waiting.said(options.part, ended=False)

    def stop(self) -> None:
        """Tell what is known of all parts that wait."""
        for key in tuple(self._waiting):
            self._end(key)

    def _begin(self, key: Key) -> _Waiting:
        if len(self._waiting) >= MAX_PARTS:
            self._end(next(iter(self._waiting)))
        timer = self._clock().call_later(self._timeout_s, partial(self._end, key))
        self._waiting[key] = _Waiting(timer)
        return self._waiting[key]

    def _end(self, key: Key) -> PartDecision:
        """Tell the decision of a part that waits, whether all of its views are in or not."""
        waiting, (line, part) = self._waiting.pop(key), key
        waiting.timer.cancel()
        said = waiting.said(part, ended=True)
        if said.missing:
            fields = {"line": line, "part": part, "views": said.views, "seen": said.seen}
            _log.warning("part incomplete", extra={"fields": fields})
        self._remember(key, waiting.views, said)
        self._metrics.decided_part(line, str(said.decision))
        views, now = waiting.views.values(), datetime.now(UTC)
        self._tell(
            DecidedPart(
                new_id(now),
                now,
                line,
                said,
                max(view.score for view in views),
                any(view.unknown_product for view in views),
            )
        )
        return said

    def _remember(self, key: Key, views: Views, said: PartDecision) -> None:
        self._told.pop(key, None)
        if len(self._told) >= MAX_PARTS:
            del self._told[next(iter(self._told))]
        digests = {name: view.digest for name, view in views.items()}
        self._told[key] = _Told(self._clock().time() + self._timeout_s, digests, said)

    def _told_before(self, key: Key, views: Views) -> _Told | None:
        """The decision that was made by the same views, if that is not long ago."""
        told = self._told.get(key)
        return told if told and self._clock().time() < told.until and told.has(views) else None


def _views(inquiry: Inquiry, answer: Answer) -> dict[str | bytes, View]:
    """The views that an answered request has brought."""
    views: dict[str | bytes, View] = {}
    for upload, said in zip(inquiry.uploads, answer.results, strict=True):
        if isinstance(said, Decision) and upload.seen:
            views[inquiry.options.view or upload.seen.digest] = View(
                digest=upload.seen.digest,
                inspection=said.inspection,
                anomalous=said.decision == "anomalous",
                unknown_product=said.unknown_product,
                score=said.score,
            )
    return views
