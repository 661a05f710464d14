"""The routes of teaching: what waits to be learnt, what came of it, and the next step with it."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter

from onegauge.schemas import (
    NewProposal,
    NewState,
    Proposal,
    ProposalList,
    ProposalStep,
    Trial,
)
from onegauge.service.errors import (
    BackendError,
    BodyTimeout,
    BodyTooLarge,
    InvalidOption,
    NoProposal,
    RecordsOff,
    RecordsUnreachable,
    TeachingRefused,
)
from onegauge.service.http.access import ACCESS_PROBLEMS, needs
from onegauge.service.http.gateway import Gateway, GatewayDep, records_of
from onegauge.service.http.json_body import documented_body, read_json
from onegauge.service.http.problems import documented

if TYPE_CHECKING:
    from onegauge.records.proposals import Proposal as Kept
    from onegauge.service.teaching.teacher import Teacher

_PROBLEMS = (*ACCESS_PROBLEMS, RecordsOff, RecordsUnreachable, BackendError)
_SAID = (TeachingRefused, BodyTooLarge, BodyTimeout, InvalidOption)
_LOOKING = [Depends(needs("review", "teach", "admin"))]
_TEACHING = [Depends(needs("teach", "admin"))]
Number = Annotated[int, PathParameter(ge=1, lt=2**31)]

router = APIRouter(prefix="/v1/proposals", responses=documented(*_PROBLEMS))


def teacher_of(gateway: Gateway) -> "Teacher":
    """What has the model learn; raises RecordsOff."""
    if gateway.teacher is None:
        raise RecordsOff("The gateway keeps no records: ONEGAUGE_RECORDS is empty.")
    return gateway.teacher


@router.get("", dependencies=_LOOKING)
async def proposals(request: Request, gateway: GatewayDep) -> ProposalList:
    """What waits to be learnt, and what was made of it."""
    teacher = teacher_of(gateway)
    model = teacher.model
    waiting = await records_of(request).ask(lambda _: len(teacher.lessons.open(model)))
    kept = await records_of(request).ask(lambda _: teacher.proposals.newest(model))
    return ProposalList(
        served=teacher.served,
        hindrance=teacher.hindrance(),
        waiting=waiting,
        proposals=[_told(teacher, one) for one in kept],
    )


@router.get("/{number}", dependencies=_LOOKING, responses=documented(NoProposal, InvalidOption))
async def proposal(gateway: GatewayDep, number: Number) -> Proposal:
    """One of them, with what it would change."""
    teacher = teacher_of(gateway)
    return _told(teacher, await teacher.get(number))


@router.post(
    "",
    status_code=201,
    dependencies=_TEACHING,
    responses=documented(*_SAID),
    openapi_extra=documented_body(NewProposal),
)
async def propose(request: Request, gateway: GatewayDep) -> Proposal:
    """Have a version made, of all that waits or without some normal images; nothing is served."""
    teacher = teacher_of(gateway)
    wanted = await read_json(request, NewProposal, gateway.settings.read_timeout_s)
    by = wanted.by or request.state.access.get("key")
    await records_of(request).flush()
    number = await teacher.propose(by, wanted.remove)
    return _told(teacher, await teacher.get(number))


@router.put(
    "/{number}/state",
    dependencies=_TEACHING,
    responses=documented(NoProposal, *_SAID),
    openapi_extra=documented_body(NewState),
)
async def take_step(request: Request, gateway: GatewayDep, number: Number) -> Proposal:
    """Try a candidate in the shadow, serve it, withdraw it, or take a served one back."""
    teacher = teacher_of(gateway)
    wanted = await read_json(request, NewState, gateway.settings.read_timeout_s)
    step = {
        "shadowed": teacher.shadow,
        "served": teacher.serve,
        "rolled_back": teacher.roll_back,
        "withdrawn": teacher.withdraw,
    }[wanted.state]
    await step(number, wanted.by or request.state.access.get("key"))
    return _told(teacher, await teacher.get(number))


def _told(teacher: "Teacher", kept: "Kept") -> Proposal:
    tried = kept.version if teacher.shadows(kept.version) else None
    agreed = zip(("same", "other"), teacher.agreement(tried), strict=True) if tried else None
    steps = [ProposalStep.model_validate(vars(step)) for step in kept.steps]
    trial = Trial.model_validate(dict(agreed)) if agreed else None
    return Proposal.model_validate({**vars(kept), "steps": steps, "trial": trial})
