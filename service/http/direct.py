"""The way of inspections past what FastAPI does before it finds a route."""

from collections.abc import Iterable

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from onegauge.service.errors import Problem
from onegauge.service.http.problems import on_disconnect, on_problem


class Direct:
    """Middleware that answers POST by the endpoints of certain routes, and passes all else on.

    Each takes a request and gives a response; what it raises becomes what it would elsewhere.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {route.path: route for route in routes if isinstance(route, APIRoute)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        route = self._routes.get(scope["path"]) if scope.get("method") == "POST" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # as FastAPI tells of it
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except Problem as exc:
            response = await on_problem(request, exc)
        except ClientDisconnect as exc:
            response = await on_disconnect(request, exc)
        await response(scope, receive, send)
