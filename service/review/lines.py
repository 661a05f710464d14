"""How each line does: the last hour and day, its scores, and whether they drift."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response

from onegauge.records.history import Found, History
from onegauge.records.search import Filter
from onegauge.records.tally import Counts
from onegauge.schemas import HIGH, NO_LINE
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.model.contract import Contract
from onegauge.service.observe.drift import WINDOW, Reference
from onegauge.service.recording.records import Records
from onegauge.service.review.doors import RecordsDep, VisitorDep
from onegauge.service.review.live import newest_id, stream
from onegauge.service.review.pages import PageRoute, page
from onegauge.service.review.visitor import HOME

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SHOWN = 24  # lines, so that the page stays one
PICTURES = 8  # the newest of a line
FEWEST = 50  # images that tell anything of a drift

router = APIRouter(prefix=f"{HOME}/lines", route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True)
class Bar:
    """How many images of a line have scores of a bin of the scale."""

    low: float
    high: float | None  # None: what is beyond the scale
    count: int


@dataclass(frozen=True)
class Line:
    """One line; its name is None where images named none."""

    name: str | None
    hour: Counts
    day: Counts
    bars: Sequence[Bar]
    drift: dict[str, float] | None  # figures as the metrics have them, None: too few images
    newest: Sequence[Found]


@router.get("")
async def lines(
    request: Request, gateway: GatewayDep, records: RecordsDep, visitor: VisitorDep
) -> Response:
    """All lines of the last day."""
    contract, threshold = gateway.versions.current().contract, gateway.model().threshold

    def shown(records: Records) -> Response:
        last = newest_id(records.history)
        found = lines_of(records.history, contract, datetime.now(UTC))
        return page(request, "lines.html", visitor, lines=found, threshold=threshold, last=last)

    return await records.ask(shown)


@router.get("/events")
async def events(
    request: Request, gateway: GatewayDep, records: RecordsDep, visitor: VisitorDep
) -> Response:
    """The newest pictures of all lines as they come."""
    return stream(request, gateway, records, visitor)


def lines_of(history: History, contract: Contract, now: datetime) -> list[Line]:
    """The lines that inspected anything in the last day, by name."""
    day = history.tally.counts(now - DAY)
    hour = {counts.line: counts for counts in history.tally.counts(now - HOUR)}
    scores = history.tally.histogram(now - DAY)
    found = []
    for counts in day[:SHOWN]:
        which = Filter(since=now - DAY, line=counts.line or NO_LINE)
        found.append(
            Line(
                name=counts.line,
                hour=hour.get(counts.line, Counts(counts.line, 0, 0, 0, 0)),
                day=counts,
                bars=bars_of(scores.get(counts.line, ())),
                drift=_drift(history, which, contract),
                newest=history.find(which, limit=PICTURES).found,
            )
        )
    return found


def bars_of(counts: Sequence[int]) -> list[Bar]:
    """The bars of a histogram, the last of which has all that is beyond the scale."""
    if not counts:
        return []
    beyond = len(counts) - 1
    width = HIGH / beyond
    return [
        Bar(bin * width, (bin + 1) * width if bin < beyond else None, count)
        for bin, count in enumerate(counts)
    ]


def _drift(history: History, which: Filter, contract: Contract) -> dict[str, float] | None:
    """The figures of the newest images that the version decided on which is served now."""
    reference = Reference.of(contract)
    scores = history.tally.scores(replace(which, version=contract.version), limit=WINDOW)
    if reference is None or len(scores) < FEWEST:
        return None
    return reference.figures([one.p_value for one in scores])
