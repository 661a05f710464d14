"""The routes of records: what was inspected, what was kept of it, what persons say of it."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from onegauge.schemas import (
    Inspected,
    InspectedPage,
    Inspection,
    Judgement,
    ModelVersion,
    NewJudgement,
    Normal,
    PartDecision,
    Search,
)
from onegauge.service.errors import (
    BodyTimeout,
    BodyTooLarge,
    InvalidOption,
    NoInspection,
    RecordsOff,
    RecordsUnreachable,
)
from onegauge.service.http.access import ACCESS_PROBLEMS, needs
from onegauge.service.http.gateway import GatewayDep, records_of
from onegauge.service.http.json_body import documented_body, read_json
from onegauge.service.http.problems import documented

if TYPE_CHECKING:
    from onegauge.records.record import Part, Record
    from onegauge.service.recording.records import Records

_PROBLEMS = (*ACCESS_PROBLEMS, RecordsOff, NoInspection, RecordsUnreachable, InvalidOption)
_BYTES = "application/octet-stream"


def _files(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of an answer that is a file."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"content": dict.fromkeys(media_types, schema)}}


_PICTURE, _JPEG, _PNG = _files("image/jpeg", _BYTES), _files("image/jpeg"), _files("image/png")

router = APIRouter(
    prefix="/v1/inspections",
    dependencies=[Depends(needs("review"))],
    responses=documented(*_PROBLEMS),
)


@router.get("", response_model=InspectedPage)
async def inspections(request: Request, search: Annotated[Search, Query()]) -> Response:
    """What was inspected, a page at a time."""

    def page(records: "Records") -> bytes:
        found = records.find(search)
        rows = [Inspected(**_row(one.record, one.verdict)) for one in found.found]
        return InspectedPage(inspections=rows, next=found.next).model_dump_json().encode()

    return _json(await records_of(request).ask(page))


@router.get("/{inspection}", response_model=Inspection)
async def inspection(request: Request, inspection: str) -> Response:
    """All that is known of an inspection."""
    return _json(await records_of(request).ask_of_one(partial(_told, inspection=inspection)))


@router.put(
    "/{inspection}/verdict",
    response_model=Inspection,
    responses=documented(BodyTooLarge, BodyTimeout),
    openapi_extra=documented_body(NewJudgement),
)
async def judge(request: Request, gateway: GatewayDep, inspection: str) -> Response:
    """Say what an inspection was; what was said before is kept beside it."""
    judgement = await read_json(request, NewJudgement, gateway.settings.read_timeout_s)
    by = judgement.by or request.state.access.get("key")

    def say(records: "Records") -> bytes:
        records.history.judge(
            inspection,
            judgement.verdict,
            by=by,
            note=judgement.note,
            whole_part=judgement.whole_part,
        )
        return _told(records, inspection)

    records = records_of(request)
    # of a whole part once all its views are written
    ask = records.ask if judgement.whole_part else records.ask_of_one
    return _json(await ask(say))


@router.get("/{inspection}/picture", response_class=Response, responses=_PICTURE)
async def picture(
    request: Request, gateway: GatewayDep, inspection: str, *, original: bool = False
) -> Response:
    """The picture, encoded anew for a browser; the `original` is a file to be saved."""
    if original:
        data = await records_of(request).ask_of_one(lambda records: records.original(inspection))
        named = {"Content-Disposition": f'attachment; filename="{inspection}"'}
        return Response(data, headers=named, media_type=_BYTES)
    depth = gateway.depth
    data = await records_of(request).ask_of_one(lambda records: records.picture(inspection, depth))
    return Response(data, media_type="image/jpeg")


@router.get("/{inspection}/overlay", response_class=Response, responses=_JPEG)
async def overlay(request: Request, gateway: GatewayDep, inspection: str) -> Response:
    """The picture, coloured where its anomaly map is high."""
    depth = gateway.depth
    data = await records_of(request).ask_of_one(lambda records: records.overlay(inspection, depth))
    return Response(data, media_type="image/jpeg")


@router.get("/{inspection}/thumbnail", response_class=Response, responses=_JPEG)
async def thumbnail(request: Request, gateway: GatewayDep, inspection: str) -> Response:
    """A small picture."""
    depth = gateway.depth
    data = await records_of(request).ask_of_one(
        lambda records: records.thumbnail(inspection, depth)
    )
    return Response(data, media_type="image/jpeg")


@router.get("/{inspection}/map", response_class=Response, responses=_PNG)
async def anomaly_map(request: Request, inspection: str) -> Response:
    """A small anomaly map, in the grey levels of an answer's `png`."""
    data = await records_of(request).ask_of_one(lambda records: records.small_map(inspection))
    return Response(data, media_type="image/png")


def _row(record: "Record", verdict: str | None) -> dict[str, Any]:
    """The fields of a row in a list, and more."""
    version = ModelVersion(name=record.model, version=record.version)
    return {**vars(record), "model": version, "verdict": verdict}


def _told(records: "Records", inspection: str) -> bytes:
    """All that is known of an inspection as JSON, written in the thread that asks for it."""
    entry = records.history.get(inspection)
    record = entry.record
    normal = Normal(location=record.normal_location, scale=record.normal_scale)
    judgements = [Judgement.model_validate(vars(judgement)) for judgement in entry.judgements]
    told = Inspection(
        **_row(record, entry.verdict),
        normal=normal,
        part_decision=_decided(records.history.part_of(record)),
        judgements=judgements,
    )
    return told.model_dump_json().encode()


def _decided(part: "Part | None") -> PartDecision | None:
    """The decision of a part as its last answer has it."""
    if part is None:
        return None
    seen = len(part.inspections)
    missing = max(0, part.views - seen)
    return PartDecision.model_validate({**vars(part), "seen": seen, "missing": missing})


def _json(data: bytes) -> Response:
    return Response(data, media_type="application/json")
