"""The routes of the criterion that decides where a request brings none."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request

from onegauge.schemas import CriterionCard, NewCriterion, SavedCriterion
from onegauge.service.errors import (
    BackendError,
    BodyTimeout,
    BodyTooLarge,
    InvalidOption,
    RecordsOff,
    RecordsUnreachable,
)
from onegauge.service.http.access import ACCESS_PROBLEMS, needs
from onegauge.service.http.gateway import Gateway, GatewayDep, records_of
from onegauge.service.http.json_body import documented_body, read_json
from onegauge.service.http.problems import documented
from onegauge.service.model.criterion import Criterion

if TYPE_CHECKING:
    from onegauge.service.recording.records import Records

_PROBLEMS = (*ACCESS_PROBLEMS, RecordsOff, RecordsUnreachable)

router = APIRouter(prefix="/v1/criterion")


@router.get(
    "",
    dependencies=[Depends(needs("review", "teach", "admin"))],
    responses=documented(*_PROBLEMS),
)
async def criterion(request: Request, gateway: GatewayDep) -> CriterionCard:
    """What decides, and what was saved before."""
    return await _card(gateway, records_of(request))


@router.put(
    "",
    dependencies=[Depends(needs("teach", "admin"))],
    responses=documented(*_PROBLEMS, BodyTooLarge, BodyTimeout, InvalidOption, BackendError),
    openapi_extra=documented_body(NewCriterion),
)
async def save_criterion(request: Request, gateway: GatewayDep) -> CriterionCard:
    """Decide by another one from now on, at all gateways of the records' database."""
    records = records_of(request)
    criterion = await read_json(request, NewCriterion, gateway.settings.read_timeout_s)
    await save(gateway, records, criterion, request.state.access.get("key"))
    return await _card(gateway, records)


async def save(gateway: Gateway, records: "Records", new: NewCriterion, key: str | None) -> None:
    """Save a criterion that the version that is served can hold, as `key` unless it says by whom.

    Raises InvalidOption, BackendError and RecordsUnavailable.
    """
    if new.max_false_alarm_rate is not None:
        promised = Criterion(max_false_alarm_rate=new.max_false_alarm_rate)
        promised.check(gateway.versions.current().contract)
    await records.criteria.save(new, new.by or key)


async def _card(gateway: Gateway, records: "Records") -> CriterionCard:
    history = await records.ask_of_one(lambda records: records.criteria.history())
    decides = gateway.deployment.criterion
    return CriterionCard(
        threshold=decides.score_threshold,
        max_false_alarm_rate=decides.max_false_alarm_rate,
        saved=gateway.deployment.saved,
        history=[SavedCriterion.model_validate(vars(saved)) for saved in history],
    )
