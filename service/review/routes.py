"""All paths of the page."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from starlette.staticfiles import StaticFiles

from onegauge.service.review import (
    lines,
    login,
    pictures,
    queue,
    references,
    teach,
    threshold,
    unknown,
)
from onegauge.service.review.visitor import HOME
from onegauge.service.teaching.looks import Looks

STATIC = Path(__file__).parent / "static"


class _Files(StaticFiles):
    """The style and the script, of which a browser asks each time whether they have changed."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_review(app: FastAPI) -> None:
    """Have an application answer at `/review`."""
    app.state.galleries = references.Galleries()
    app.state.looks = Looks()
    app.mount(f"{HOME}/static", _Files(directory=STATIC))
    for router in (
        login.router,
        lines.router,
        threshold.router,
        unknown.router,
        teach.router,
        references.router,
        pictures.router,
        queue.router,
    ):
        app.include_router(router)
