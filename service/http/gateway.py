"""The parts of a gateway that its routes use."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from onegauge.schemas import ModelCard, ModelVersion, Readiness, RefusedVersion
from onegauge.service.errors import RecordsOff, ShuttingDown
from onegauge.service.http.access import Access
from onegauge.service.http.admission import Admission
from onegauge.service.imaging.depth import Depth
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.inspection.inspector import Inspector
from onegauge.service.inspection.versions import Versions
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads

if TYPE_CHECKING:
    from onegauge.service.inspection.taken import Taker
    from onegauge.service.recording.records import Records
    from onegauge.service.sinks.sinks import Sinks
    from onegauge.service.teaching.teacher import Teacher


class Gateway:
    """Admits requests, inspects their images by the version that is served, and counts."""

    def __init__(
        self,
        settings: Settings,
        versions: Versions,
        metrics: Metrics,
        deployment: Deployment,
        records: "Records | None",
        sinks: "Sinks | None",
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.versions = versions
        self.deployment = deployment
        self.access = Access(settings)
        metrics.keys_unreadable.set_function(self.access.keys_unreadable)
        self.admission = Admission(settings, metrics)
        self.threads = Threads(settings.decode_threads)
        self.records, self.sinks = records, sinks
        takers: list[Taker] = [taker for taker in (records, sinks) if taker]
        self.inspector = Inspector(settings, deployment, versions, metrics, self.threads, takers)
        self.teacher: Teacher | None = None  # where records are kept
        self.shutting_down = False

    async def ready(self) -> Readiness:
        """Return when a request without options would be answered; raises a Problem."""
        if self.shutting_down:
            raise ShuttingDown("The gateway answers what it has begun and then ends.")
        model = await self.versions.ready()
        self.deployment.check(model.contract)
        refused = self.versions.refused
        return Readiness(
            model=ModelVersion(name=model.contract.name, version=model.contract.version),
            refused=RefusedVersion(**vars(refused)) if refused else None,
        )

    @property
    def depth(self) -> Depth:
        """How pictures are read, as the version that is served has it; raises why there is none."""
        return self.versions.current().contract.depth

    def model(self) -> ModelCard:
        """What is served, and the criterion that holds unless a request brings its own."""
        criterion = self.deployment.criterion
        contract = self.versions.current().contract
        return ModelCard(
            **{**asdict(contract), "parameters": contract.told},
            threshold=criterion.score_threshold,
            max_false_alarm_rate=criterion.max_false_alarm_rate,
        )


async def gateway_of(request: Request) -> Gateway:
    """The gateway that a request came to."""
    return cast(Gateway, request.app.state.gateway)


def records_of(request: Request) -> "Records":
    """The records of the gateway that a request came to; raises RecordsOff."""
    gateway: Gateway = request.app.state.gateway
    if gateway.records is None:
        raise RecordsOff("The gateway keeps no records: ONEGAUGE_RECORDS is empty.")
    return gateway.records


GatewayDep = Annotated[Gateway, Depends(gateway_of)]
