"""The gateway as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline

from service import lookout
from service.access_log import AccessLog
from service.backends import Backend
from service.gateway import Gateway
from service.metrics import Metrics
from service.problems import add_problem_handlers
from service.routes import router
from service.security_headers import SecurityHeaders
from service.settings import Settings
from service.versions import Versions


def create_app(settings: Settings, backend: Backend) -> FastAPI:
    """Build a gateway that inspects by `backend`, which lives as long as the application."""

    metrics = Metrics()
    versions = Versions(backend, metrics, settings.shadow_version)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with versions.running():
            yield

    # its /docs brings Swagger UI along, so that a plant without internet can read it
    app = FastAPIOffline(
        redoc_url=None,
        title="onegauge",
        description="Visual inspection of mixed products with one threshold.",
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,  # names of functions of clients
    )
    app.state.gateway = Gateway(settings, versions, metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Request-Timeout"],
        )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AccessLog, metrics=metrics)
    app.include_router(router)
    app.include_router(lookout.router)
    add_problem_handlers(app)
    return app
