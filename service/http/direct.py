"""The way of an inspection past FastAPI, whose search for the route is half of what comes first."""

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from onegauge.service.errors import Problem
from onegauge.service.http.problems import on_disconnect, on_problem
from onegauge.service.http.routes import inspect, router


class Direct:
    """ASGI middleware that answers inspections; all else, and all of OpenAPI, is FastAPI's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        routes = (route for route in router.routes if isinstance(route, APIRoute))
        self._routes = {route.path: route for route in routes if route.endpoint is inspect}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        inspection = scope["type"] == "http" and scope["method"] == "POST"
        route = self._routes.get(scope["path"]) if inspection else None
        if route is None:
            if (
                inspection
            ):  # a slash at the end would be redirected, and few clients follow with a body
                scope["path"] = scope["path"].removesuffix("/")
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # whose path is a label of metrics and the name of a span
        response = await _answered(Request(scope, receive, send))
        await response(scope, receive, send)


async def _answered(request: Request) -> Response:
    try:
        return await inspect(request)
    except Problem as exc:
        return await on_problem(request, exc)
    except ClientDisconnect as exc:
        return await on_disconnect(request, exc)
