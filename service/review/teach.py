"""Teaching: what waits to be learnt, what it would change, and serving or taking back that."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as PathParameter

from onegauge.records.history import Found, History
from onegauge.records.lessons import Lesson
from onegauge.records.proposals import Proposal
from onegauge.schemas import Hindrance
from onegauge.service.errors import Forbidden
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.http.proposals import teacher_of
from onegauge.service.recording.records import Records
from onegauge.service.review.doors import Inspection, RecordsDep, VisitorDep
from onegauge.service.review.pages import PageRoute, own, page, redirect
from onegauge.service.review.visitor import HOME, Visitor, author_of, form_of, remember_name
from onegauge.service.teaching.teacher import Teacher

PATH = f"{HOME}/teach"
TILES = 8  # shown of each kind of change
LESSONS = 100  # shown of what waits
KINDS = ("false_alarm", "confirmed_normal", "confirmed", "missed", "unclear", "none")
Step: TypeAlias = Literal["shadow", "serve", "roll_back", "withdraw"]

router = APIRouter(prefix=PATH, route_class=PageRoute, include_in_schema=False)


async def _teacher(gateway: GatewayDep) -> Teacher:
    return teacher_of(gateway)


TeacherDep = Annotated[Teacher, Depends(_teacher)]


def require_teacher(visitor: Visitor) -> None:
    """Raise Forbidden for who may only look."""
    if not visitor.may_teach:
        raise Forbidden(f"The API key {visitor.name} has not the scope teach or admin.")


@dataclass(frozen=True)
class Board:
    """All that the page shows."""

    hindrance: Hindrance | None
    served: str
    lessons: Sequence[Lesson]
    current: Proposal | None  # that is under way
    past: Sequence[Proposal]
    shadowing: bool  # whether the current one is tried now
    agreement: tuple[int, int]  # of the current one with the served version: same, other decisions
    changed: Sequence[tuple[str, Sequence[Found]]]  # images of which the current one thinks anew

    def may_return(self, proposal: Proposal) -> bool:
        """Whether a proposal is what answers now."""
        return proposal.state == "served" and proposal.version == self.served


@router.get("")
async def teach(
    request: Request, records: RecordsDep, teacher: TeacherDep, visitor: VisitorDep
) -> Response:
    """What waits, and what became of what was proposed."""
    served, hindrance = teacher.served, teacher.hindrance()

    def look(records: Records) -> Board:
        return board_of(teacher, records.history, served, hindrance)

    board = await records.ask(look)
    return page(
        request, "teach.html", visitor, board=board, kinds=KINDS, shown=board.lessons[:LESSONS]
    )


@router.post("/propose")
async def propose(
    request: Request, records: RecordsDep, teacher: TeacherDep, visitor: VisitorDep
) -> Response:
    """Have a version made of what waits."""
    await records.flush()
    return await _done(request, visitor, lambda by, _: teacher.propose(by))


@router.post("/remove")
async def remove(request: Request, teacher: TeacherDep, visitor: VisitorDep) -> Response:
    """Have a version made without some of the normal images."""

    async def begin(by: str, form: dict[str, str]) -> None:
        ids = [match[1] for field in form if (match := re.fullmatch("take-(\\w{1,64})", field))]
        await teacher.propose(by, ids)

    return await _done(request, visitor, begin)


@router.post("/leave/{inspection}")
async def leave(
    request: Request,
    records: RecordsDep,
    teacher: TeacherDep,
    visitor: VisitorDep,
    inspection: Inspection,
) -> Response:
    """Have an image not be learnt."""

    async def forget(by: str, _form: dict[str, str]) -> None:
        await records.ask_of_one(lambda _: teacher.lessons.decide([inspection], "discarded", by=by))

    return await _done(request, visitor, forget)


@router.post("/{number}/{step}")
async def take(
    request: Request,
    teacher: TeacherDep,
    visitor: VisitorDep,
    number: Annotated[int, PathParameter(ge=1, lt=2**31)],
    step: Step,
) -> Response:
    """Take the next step with a proposal, or take it back."""
    taken = {
        "shadow": teacher.shadow,
        "serve": teacher.serve,
        "roll_back": teacher.roll_back,
        "withdraw": teacher.withdraw,
    }[step]
    return await _done(request, visitor, lambda by, _: taken(number, by))


async def _done(
    request: Request,
    visitor: Visitor,
    wanted: Callable[[str, dict[str, str]], Awaitable[object]],
) -> Response:
    """Do what a form asks for in the name of who sent it, and show what follows."""
    form = await form_of(request)
    require_teacher(visitor)
    name = author_of(visitor, form)
    await wanted(name, form)
    response = redirect(own(form.get("then") or PATH))
    remember_name(request, response, visitor, name)
    return response


def board_of(teacher: Teacher, history: History, served: str, hindrance: Hindrance | None) -> Board:
    """What there is to be seen now; raises RecordsUnavailable."""
    proposals = teacher.proposals.newest(teacher.model)
    current = next((proposal for proposal in proposals if proposal.under_way), None)
    effect = current.effect if current and current.effect else {}
    return Board(
        hindrance=hindrance,
        served=served,
        lessons=teacher.lessons.open(teacher.model),
        current=current,
        past=[proposal for proposal in proposals if proposal is not current],
        shadowing=bool(current) and teacher.shadows(current.version if current else None),
        agreement=teacher.agreement(current.version or "") if current else (0, 0),
        changed=[
            (kind, history.those(effect.get(kind, [])[:TILES]))
            for kind in ("newly_anomalous", "no_longer_anomalous")
        ],
    )
