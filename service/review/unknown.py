"""Unknown products: images grouped by how they look, and what a person says that they are."""

import re
import time
from collections.abc import Sequence
from typing import cast, get_args

from fastapi import APIRouter, Request, Response

from onegauge.records.errors import PictureGone
from onegauge.records.lessons import Kind
from onegauge.records.record import Record
from onegauge.service.errors import InvalidOption
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.imaging.depth import Depth
from onegauge.service.recording.records import Records
from onegauge.service.review.doors import RecordsDep, VisitorDep
from onegauge.service.review.pages import PageRoute, page, redirect
from onegauge.service.review.teach import TeacherDep, require_teacher
from onegauge.service.review.visitor import (
    HOME,
    NAME_LENGTH,
    author_of,
    form_of,
    one_line,
    remember_name,
)
from onegauge.service.teaching.looks import Looks, groups_of

PATH = f"{HOME}/unknown"
MOST = 100  # pictures of a group at once, the newest; its others come after them
GROUPS = 20
LOOK_S = 2.0  # how long pictures are looked at that were not before: a large PNG takes 0.2 s
_TAKEN = re.compile("take-([0-9a-f]{32})")
_KINDS = [kind for kind in get_args(Kind) if kind != "normal"]

router = APIRouter(prefix=PATH, route_class=PageRoute, include_in_schema=False)


@router.get("")
async def unknown(
    request: Request,
    gateway: GatewayDep,
    records: RecordsDep,
    teacher: TeacherDep,
    visitor: VisitorDep,
) -> Response:
    """What nobody has said anything of yet."""
    depth = gateway.depth
    looks: Looks = request.app.state.looks

    def look(records: Records) -> tuple[list[list[Record]], int]:
        return grouped(records, looks, teacher.lessons.unknown(teacher.model), depth)

    groups, later = await records.ask(look)
    return page(
        request,
        "unknown.html",
        visitor,
        groups=[group[:MOST] for group in groups[:GROUPS]],
        kinds=_KINDS,
        total=sum(map(len, groups)) + later,
        later=later,
        said=request.query_params.get("said", ""),
    )


@router.post("")
async def decide(
    request: Request, records: RecordsDep, teacher: TeacherDep, visitor: VisitorDep
) -> Response:
    """Say what images are."""
    form = await form_of(request)
    require_teacher(visitor)
    if (kind := form.get("kind")) not in _KINDS:
        raise InvalidOption(f"kind is {kind!r}, none of {', '.join(_KINDS)}.")
    name = author_of(visitor, form)
    taken = [match[1] for field in form if (match := _TAKEN.fullmatch(field))]
    product = one_line(form.get("product", ""), NAME_LENGTH) or None
    said = cast(Kind, kind)
    await records.ask_of_one(
        lambda _: teacher.lessons.decide(taken, said, by=name, product=product)
    )
    response = redirect(f"{PATH}?said={len(taken)}")
    remember_name(request, response, visitor, name)
    return response


def grouped(
    records: Records, looks: Looks, found: Sequence[Record], depth: Depth
) -> tuple[list[list[Record]], int]:
    """Inspections by the look of their pictures, and how many there was no time to look at.

    Those whose picture has gone are left out.
    """
    seen, known, later = [], [], 0
    give_up = time.monotonic() + LOOK_S
    for number, record in enumerate(found):
        if time.monotonic() > give_up:
            later = len(found) - number
            break
        try:
            look = looks.of(record.picture or "", lambda: records.thumbnail(record.id, depth))  # noqa: B023
        except PictureGone:
            continue
        seen.append(record)
        known.append(look)
    return [[seen[number] for number in group] for group in groups_of(known)], later
