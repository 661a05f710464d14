"""The routes of the sinks: what becomes of decisions on their way to a plant, and off switches."""

from fastapi import APIRouter, Depends, Request

from onegauge.schemas import SinkList, SinkState, SinkSwitch
from onegauge.service.errors import BodyTimeout, BodyTooLarge, InvalidOption, NoSink
from onegauge.service.http.access import ACCESS_PROBLEMS, needs
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.http.json_body import documented_body, read_json
from onegauge.service.http.problems import documented
from onegauge.service.sinks.errors import UnknownSink

router = APIRouter(
    prefix="/v1/sinks",
    dependencies=[Depends(needs("admin"))],
    responses=documented(*ACCESS_PROBLEMS),
)


@router.get("")
async def sinks(gateway: GatewayDep) -> SinkList:
    """Each sink, and what became of its events since the gateway has started."""
    return SinkList(sinks=gateway.sinks.states if gateway.sinks else [])


@router.put(
    "/{name}",
    responses=documented(NoSink, BodyTooLarge, BodyTimeout, InvalidOption),
    openapi_extra=documented_body(SinkSwitch),
)
async def switch_sink(request: Request, gateway: GatewayDep, name: str) -> SinkState:
    """Turn a sink on or off until the gateway ends."""
    switch = await read_json(request, SinkSwitch, gateway.settings.read_timeout_s)
    if gateway.sinks is None:
        raise NoSink("The gateway has no sinks: ONEGAUGE_SINKS is unset.")
    try:
        return gateway.sinks.switch(name, enabled=switch.enabled)
    except UnknownSink as exc:
        raise NoSink(f"{exc}.") from exc
