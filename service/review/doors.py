"""What the routes of the page need: the records, and somebody who may look at them."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi import Path as PathParameter

from onegauge.service.http.gateway import GatewayDep, records_of
from onegauge.service.recording.records import Records
from onegauge.service.review.session import Sessions
from onegauge.service.review.visitor import Visitor, holder_of, stranger_of

Inspection = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]
RecordsDep = Annotated[Records, Depends(records_of)]


async def sessions_of(records: RecordsDep) -> Sessions:
    """The sessions of all gateways that have these records; raises RecordsUnavailable."""
    return Sessions(await records.ask_of_one(lambda records: records.secret))


SessionsDep = Annotated[Sessions, Depends(sessions_of)]


async def visitor_of(request: Request, gateway: GatewayDep, records: RecordsDep) -> Visitor:
    """Who looks; raises LoginNeeded, KeysUnreadable and RecordsUnavailable."""
    if gateway.access.open:
        return stranger_of(request)
    return holder_of(request, await sessions_of(records))


VisitorDep = Annotated[Visitor, Depends(visitor_of)]
