"""The gateway as an ASGI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline

from onegauge.service.errors import needed_by
from onegauge.service.http import criterion, history, lookout, proposals, sinks
from onegauge.service.http.direct import Direct
from onegauge.service.http.gateway import Gateway, records_of
from onegauge.service.http.middleware import Middleware
from onegauge.service.http.problems import add_problem_handlers
from onegauge.service.http.routes import inspections, router
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.inspection.versions import Versions
from onegauge.service.model.model import Backend
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings

if TYPE_CHECKING:
    from onegauge.service.observe.tracing import Tracing
    from onegauge.service.recording.records import Records
    from onegauge.service.sinks.sinks import Sinks
    from onegauge.service.teaching.teacher import Teacher

# FastAPI tells OpenTelemetry of requests; all else that it could tell is in our metrics and log
_SPANS_ALONE = dict.fromkeys(("metrics", "logs", "operation_spans", "auto_configure"), False)
_ROUTERS = (
    *(inspections, router, lookout.router, history.router),
    *(criterion.router, proposals.router, sinks.router),
)


def create_app(settings: Settings, backend: Backend) -> FastAPI:
    """Build a gateway that inspects by `backend`, which lives as long as the application."""
    tracing = _tracing(settings)
    metrics = Metrics(tracing.span) if tracing else Metrics()
    deployment = Deployment(settings, metrics)
    versions = Versions(backend, metrics, deployment.check, settings.shadow_version)
    records = _records(settings, metrics, deployment)
    plant = _sinks(settings, metrics)
    gateway = Gateway(settings, versions, metrics, deployment, records, plant)
    if records:
        gateway.teacher = _teacher(gateway, records)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with (
            records.running() if records else nullcontext(),
            plant.running() if plant else nullcontext(),
            versions.running(),
        ):
            yield
            if gateway.teacher:
                await gateway.teacher.stop()
            await gateway.inspector.stop()
        if tracing:
            await to_thread.run_sync(tracing.close)

    app = _application(lifespan, tracing)
    app.state.gateway = gateway
    if not tracing:  # which FastAPI tells of the route that it has found
        app.add_middleware(Direct, routes=inspections.routes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT"],
            allow_headers=["Authorization", "Content-Type", "Request-Timeout"],
        )
    app.add_middleware(Middleware, metrics=metrics)
    for part in _ROUTERS:
        app.include_router(part)
    _add_review(app, records)
    add_problem_handlers(app)
    return app


def _application(
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]], tracing: "Tracing | None"
) -> FastAPI:
    """Without routes; its /docs brings Swagger UI along, for a plant without internet."""
    return FastAPIOffline(
        redoc_url=None,
        title="onegauge",
        description="Visual inspection of mixed products with one threshold.",
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,  # names of functions of clients
        telemetry={
            **_SPANS_ALONE,
            "tracing": tracing is not None,
            "tracer_provider": tracing and tracing.provider,
        },
    )


def _tracing(settings: Settings) -> "Tracing | None":
    """What makes spans, None where they are off; raises BackendUnavailable without its library."""
    if not settings.tracing:
        return None
    with needed_by("ONEGAUGE_TRACING", "tracing"):
        from onegauge.service.observe.tracing import Tracing
    return Tracing()


def _records(settings: Settings, metrics: Metrics, deployment: Deployment) -> "Records | None":
    """What keeps records, None where they are off; raises BackendUnavailable without its library.

    Raises InvalidPolicy for pictures that are to be kept by no rule.
    """
    if not settings.records:
        return None
    with needed_by("ONEGAUGE_RECORDS", "records"):
        from onegauge.service.recording.records import Records
    return Records(settings, metrics, deployment)


def _sinks(settings: Settings, metrics: Metrics) -> "Sinks | None":
    """What delivers decisions to a plant, None where nothing does.

    Raises InvalidSinks, and BackendUnavailable without a library.
    """
    if settings.sinks is None:
        return None
    from onegauge.service.sinks.sinks import Sinks

    return Sinks(settings.sinks, settings, metrics)


def _add_review(app: FastAPI, records: "Records | None") -> None:
    """Have the review page, which says why there is none where no records are kept."""
    if not records:
        app.add_api_route("/review", records_of, include_in_schema=False)
        return
    with needed_by("ONEGAUGE_RECORDS", "records"):
        from onegauge.service.review.routes import add_review
    add_review(app)


def _teacher(gateway: Gateway, records: "Records") -> "Teacher":
    """What has the model learn from its records."""
    from onegauge.service.teaching.teacher import Teacher

    return Teacher(gateway.settings, records, gateway.versions, gateway.inspector, gateway.metrics)
