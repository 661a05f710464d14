"""The inspections one by one: to look at, to judge, to print."""

import re
from typing import cast, get_args

from fastapi import APIRouter, Request, Response

from onegauge.records.errors import PictureGone, UnknownInspection
from onegauge.records.history import Entry, History
from onegauge.records.record import Opinion, Part
from onegauge.service.errors import InvalidOption, Problem
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.recording.records import Records
from onegauge.service.review.comparison import REFERENCES, look_again, pairs_of
from onegauge.service.review.desk import lay_out
from onegauge.service.review.doors import Inspection, RecordsDep, VisitorDep
from onegauge.service.review.evidence import rows_of
from onegauge.service.review.pages import PageRoute, language_of, own, page, redirect, zone_of
from onegauge.service.review.search import Search
from onegauge.service.review.visitor import (
    HOME,
    Visitor,
    author_of,
    form_of,
    note_of,
    remember_name,
)

_OPINIONS = get_args(Opinion)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(HOME)
async def queue(request: Request, records: RecordsDep, visitor: VisitorDep) -> Response:
    """The inspections that are looked for, and the first of them."""
    return await records.ask(lambda records: _desk(request, records.history, visitor, None))


@router.get(f"{HOME}/{{inspection}}")
async def inspection(
    request: Request, records: RecordsDep, visitor: VisitorDep, inspection: Inspection
) -> Response:
    """One of them."""
    return await records.ask_of_one(
        lambda records: _desk(request, records.history, visitor, inspection)
    )


@router.post(f"{HOME}/{{inspection}}/verdict")
async def judge(
    request: Request, records: RecordsDep, visitor: VisitorDep, inspection: Inspection
) -> Response:
    """Say something of an inspection, and go on to the next."""
    form = await form_of(request)
    of_part = "part_verdict" in form
    if (verdict := form.get("part_verdict" if of_part else "verdict")) not in _OPINIONS:
        raise InvalidOption(f"verdict is {verdict!r}, none of {', '.join(_OPINIONS)}.")
    name = author_of(visitor, form)
    note = note_of(form)
    said, whole = cast(Opinion, verdict), of_part or "whole_part" in form
    # of a whole part once all its views are written
    ask = records.ask if whole else records.ask_of_one
    await ask(
        lambda records: records.history.judge(
            inspection, said, by=name, note=note, whole_part=whole
        )
    )
    address = own(form.get("then"))
    response = redirect(f"{address}{'&' if '?' in address else '?'}judged={inspection}")
    remember_name(request, response, visitor, name)
    return response


@router.post(f"{HOME}/{{inspection}}/undo")
async def undo(
    request: Request, records: RecordsDep, visitor: VisitorDep, inspection: Inspection
) -> Response:
    """Take back what was said of an inspection, and show it again."""
    form = await form_of(request)
    by = visitor.name or None
    await records.ask_of_one(lambda records: records.history.judge(inspection, None, by=by))
    return redirect(own(form.get("then")))


@router.get(f"{HOME}/{{inspection}}/print")
async def evidence(
    request: Request, records: RecordsDep, visitor: VisitorDep, inspection: Inspection
) -> Response:
    """One inspection on paper."""

    def found(records: Records) -> tuple[Entry, Part | None]:
        entry = records.history.get(inspection)
        return entry, records.history.part_of(entry.record)

    entry, part = await records.ask_of_one(found)
    language = language_of(request)
    when = language.time(entry.record.time, zone_of(request))
    rows = rows_of(entry.record, part, language, when)
    return page(request, "print.html", visitor, entry=entry, rows=rows)


@router.get(f"{HOME}/{{inspection}}/comparison")
async def comparison(
    request: Request,
    gateway: GatewayDep,
    records: RecordsDep,
    visitor: VisitorDep,
    inspection: Inspection,
) -> Response:
    """The normal images beside the picture of an inspection, a piece of its page."""
    entry = await records.ask_of_one(lambda records: records.history.get(inspection))
    record = entry.record
    try:
        data = await records.ask_of_one(lambda records: records.original(inspection))
        mask = await records.ask_of_one(lambda records: records.history.mask(inspection))
        decision, version = await look_again(gateway, record, data, mask)
        explainer = await gateway.inspector.explainer()
    except (PictureGone, Problem) as exc:
        return page(request, "comparison.html", visitor, problem=str(exc))
    return page(
        request,
        "comparison.html",
        visitor,
        problem=None,
        record=record,
        version=version,
        references=decision.explanation.references[:REFERENCES] if decision.explanation else (),
        pairs=pairs_of(record, decision, explainer),
    )


def _desk(request: Request, history: History, visitor: Visitor, inspection: str | None) -> Response:
    desk = lay_out(history, Search.of(request), zone_of(request), inspection)
    judged = _judged(history, request.query_params.get("judged", ""))
    return page(request, "queue.html", visitor, desk=desk, judged=judged)


def _judged(history: History, inspection: str) -> Entry | None:
    """What was judged a moment ago, so that it can be taken back."""
    if not re.fullmatch(r"[0-9a-f]{32}", inspection):
        return None
    try:
        entry = history.get(inspection)
    except UnknownInspection:
        return None
    return entry if entry.verdict else None
