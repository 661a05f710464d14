"""The gateway as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from service.access import AccessLog
from service.backends import Backend
from service.inspection import Inspector
from service.metrics import Metrics
from service.problems import add_problem_handlers
from service.routes import router
from service.settings import Settings


def create_app(settings: Settings, backend: Backend) -> FastAPI:
    """Build a gateway that inspects by `backend`, which lives as long as the application."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await backend.start()
        try:
            yield
        finally:
            await backend.stop()

    # its /docs brings Swagger UI along, so that a plant without internet can read it
    app = FastAPIOffline(
        redoc_url=None,
        title="onegauge",
        description="Visual inspection of mixed products with one threshold.",
        lifespan=lifespan,
    )
    app.state.inspector = Inspector(settings, backend, Metrics())
    app.add_middleware(AccessLog)
    app.include_router(router)
    add_problem_handlers(app)
    return app
