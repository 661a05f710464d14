"""The templates, filled in for who looks: in their language, their time, all names escaped."""

import re
from collections.abc import Callable, Coroutine
from datetime import UTC, tzinfo
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from onegauge.records.errors import RecordsError
from onegauge.schemas import HIGH, LOW
from onegauge.service.errors import Problem
from onegauge.service.http.problems import problem_of
from onegauge.service.review import languages
from onegauge.service.review.languages import Language, chosen
from onegauge.service.review.visitor import HOME, LoginNeeded, Visitor, remembered

TEMPLATES = Path(__file__).parent / "templates"
ZONE_COOKIE = "onegauge_zone"  # the browser's time zone, which the page's script tells
_OWN = re.compile(r"/review(?:[/?][\x21-\x7e]*)?")


class PageRoute(APIRoute):
    """A route of the page: who is not logged in is sent there, a problem is shown as a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except LoginNeeded:
                return redirect(f"{HOME}/login?then={quote(here(request), safe='/')}")
            except (Problem, RecordsError) as error:
                problem = error if isinstance(error, Problem) else problem_of(error)
                request.app.state.gateway.metrics.rejected(problem.reason)
                return page(request, "problem.html", None, status=problem.status, problem=problem)

        return handled


def page(
    request: Request, template: str, visitor: Visitor | None, *, status: int = 200, **values: object
) -> HTMLResponse:
    """A template filled in for a visitor, None for somebody who is not known yet."""
    text = fill(request, template, visitor, **values)
    return HTMLResponse(text, status, {"Vary": "Cookie, Accept-Language"})


def fill(request: Request, template: str, visitor: Visitor | None, **values: object) -> str:
    """The text of a template that is filled in so."""
    language, zone = language_of(request), zone_of(request)
    return (
        _environment()
        .get_template(template)
        .render(
            language=language,
            languages=languages.languages().values(),
            say=language.say,
            time=partial(language.time, zone=zone),
            clock=partial(language.clock, zone=zone),
            visitor=visitor,
            here=here(request),
            path=request.url.path,
            **values,
        )
    )


def redirect(address: str) -> RedirectResponse:
    """Have the browser get another page of ours."""
    return RedirectResponse(address, 303)


def own(address: str | None) -> str:
    """An address that came with a request, if it is one of the page's; else where it begins."""
    return address if address and _OWN.fullmatch(address) else HOME


def here(request: Request) -> str:
    """The address that a request is for, in the way that a browser would write it."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def language_of(request: Request) -> Language:
    """The language that a request wants its page in."""
    accepted = request.headers.get("accept-language", "")
    return chosen(remembered(request, languages.COOKIE), accepted)


def zone_of(request: Request) -> tzinfo:
    """The time zone of a browser, UTC until it is known."""
    name = remembered(request, ZONE_COOKIE)
    return ZoneInfo(name) if name in _zones() else UTC


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["on_scale"] = on_scale
    return environment


def on_scale(score: float) -> float:
    """Where a score lies between the ends of the scale that all pictures share, from 0 to 1."""
    return (min(max(score, LOW), HIGH) - LOW) / (HIGH - LOW)
