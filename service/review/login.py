"""Who looks logs in by an API key, and chooses a language."""

from fastapi import APIRouter, Request, Response

from onegauge.service.errors import Forbidden, TooManyRequests, Unauthorized
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.review import languages, session
from onegauge.service.review.doors import SessionsDep
from onegauge.service.review.pages import PageRoute, own, page, redirect
from onegauge.service.review.visitor import HOME, YEAR_S, form_of, refuse_others, remember

router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)


@router.get("/login")
async def login(request: Request) -> Response:
    """Ask for a key."""
    then = own(request.query_params.get("then"))
    return page(request, "login.html", None, then=then, problem=None)


@router.post("/login")
async def begin(request: Request, gateway: GatewayDep, sessions: SessionsDep) -> Response:
    """Begin a session with a key that is good for it."""
    form = await form_of(request)
    then = own(form.get("then"))
    try:
        name = gateway.access.check(form.get("key", "").strip(), "review")
    except (Unauthorized, Forbidden, TooManyRequests) as refused:
        gateway.metrics.rejected(refused.reason)
        values = {"then": then, "problem": refused.detail}
        return page(request, "login.html", None, status=refused.status, **values)
    response = redirect(then)
    if name is not None and (key := gateway.access.named(name)):
        remember(request, response, session.COOKIE, sessions.begin(key), session.LIFETIME_S)
    return response


@router.post("/logout")
async def end(request: Request) -> Response:
    """Forget the session."""
    refuse_others(request)
    response = redirect(f"{HOME}/login")
    remember(request, response, session.COOKIE, "", 0)
    return response


@router.get("/language/{code}")
async def switch(request: Request, code: str) -> Response:
    """Go on in another language, which the browser remembers."""
    response = redirect(own(request.query_params.get("then")))
    if code in languages.languages():
        remember(request, response, languages.COOKIE, code, YEAR_S)
    return response
