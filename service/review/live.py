"""The newest pictures as they come: server-sent events."""

import asyncio
import re
from collections.abc import AsyncIterator
from time import monotonic

from fastapi import Request
from fastapi.responses import StreamingResponse

from onegauge.records.errors import RecordsUnavailable
from onegauge.records.history import Found, History
from onegauge.service.http.gateway import Gateway
from onegauge.service.recording.records import Records
from onegauge.service.review.pages import fill
from onegauge.service.review.visitor import Visitor

LOOK_S = 2.0  # between looks for newer ones
WATCH_S = 0.25  # between looks whether the gateway ends
LONGEST_S = 25.0  # of a stream, which a browser then asks for anew: a session may be over
MOST = 24  # pictures at once; of more the newest


def newest_id(history: History) -> str:
    """The id of the newest inspection, which all later ones come after; empty where none is."""
    found = history.find(limit=1).found
    return found[0].record.id if found else ""


def stream(
    request: Request, gateway: Gateway, records: Records, visitor: Visitor
) -> StreamingResponse:
    """Tell a browser of what is newer than the last that it knows."""
    asked = request.headers.get("last-event-id") or request.query_params.get("last", "")
    last = asked if re.fullmatch(r"[0-9a-f]{32}", asked) else ""
    return StreamingResponse(
        _events(request, gateway, records, visitor, last),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},  # else nginx would hold them back
    )


async def _events(
    request: Request, gateway: Gateway, records: Records, visitor: Visitor, last: str
) -> AsyncIterator[str]:
    end = monotonic() + LONGEST_S
    yield "retry: 2000\n\n"
    while monotonic() < end and not gateway.shutting_down:
        for found in await _newer(records, last):
            last = found.record.id
            yield _event(last, fill(request, "live.html", visitor, found=found))
        look = min(end, monotonic() + LOOK_S)
        while monotonic() < look and not gateway.shutting_down:
            await asyncio.sleep(WATCH_S)


async def _newer(records: Records, last: str) -> list[Found]:
    """What came after the last that is known, the oldest first."""
    try:
        page = await records.ask(lambda records: records.history.find(limit=MOST))
    except RecordsUnavailable:
        return []  # it may be back at the next look
    return [one for one in reversed(page.found) if one.record.id > last]


def _event(name: str, html: str) -> str:
    data = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"event: inspection\nid: {name}\n{data}\n"
