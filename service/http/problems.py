"""Every error of the HTTP side as RFC 9457 `application/problem+json`."""

import logging
from http import HTTPStatus
from itertools import chain
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from onegauge.records.errors import (
    InvalidCursor,
    PictureGone,
    RecordsError,
    UnknownInspection,
)
from onegauge.schemas import ProblemDetails
from onegauge.service.errors import InvalidOption, NoInspection, Problem, RecordsUnreachable
from onegauge.service.http.middleware import REQUEST_ID_HEADER
from onegauge.service.http.options import invalid_option

MEDIA_TYPE = "application/problem+json"
_SCHEMA = {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CLIENT_CLOSED_REQUEST = 499  # never seen by the client, which is gone, but by the access log

_log = logging.getLogger("onegauge.records")


def problem_response(request: Request, details: dict[str, Any]) -> Response:
    """Problem details as a response that names its request."""
    headers = {}
    if "retry_after" in details:
        headers["Retry-After"] = str(details["retry_after"])
    if details["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    content = {**details, "request_id": request.state.request_id}
    return Response(to_json(content), details["status"], headers, MEDIA_TYPE)


def documented(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of these kinds of problems: by status, an example of each."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in sorted(chain.from_iterable(map(_leaves, kinds)), key=lambda kind: kind.status):
        described = found.setdefault(kind.status, {"description": "", "content": {}})
        named = filter(None, (described["description"], kind.title))
        described["description"] = "; ".join(named)
        examples = described["content"].setdefault(MEDIA_TYPE, {**_SCHEMA, "examples": {}})
        value = {**kind(str(kind.__doc__)).details(), "request_id": "press-3:0815"}
        examples["examples"][kind.reason] = {"summary": kind.title, "value": value}
    return found


def _leaves(kind: type[Problem]) -> list[type[Problem]]:
    children = kind.__subclasses__()
    return [leaf for child in children for leaf in _leaves(child)] if children else [kind]


def add_problem_handlers(app: FastAPI) -> None:
    """Turn everything that a route may raise into problem details."""
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RecordsError, _on_records_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected)


async def on_problem(request: Request, exc: Exception) -> Response:
    """The answer to a Problem, which is counted."""
    assert isinstance(exc, Problem)
    request.app.state.gateway.metrics.rejected(exc.reason)
    return problem_response(request, exc.details())


async def _on_records_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RecordsError)
    return await on_problem(request, problem_of(exc))


def problem_of(error: RecordsError) -> Problem:
    """What a client has asked wrong; what else is wrong with the records is in the log."""
    if isinstance(error, UnknownInspection | PictureGone):
        return NoInspection(f"{error}.")
    if isinstance(error, InvalidCursor):
        return InvalidOption(f"after: {error}")
    _log.warning("records cannot be read", extra={"fields": {"detail": str(error)}})
    detail = "The records cannot be reached now; inspections go on. See the gateway's log."
    return RecordsUnreachable(detail)


async def _on_validation_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    return await on_problem(request, invalid_option(exc))


async def _on_http_exception(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    response = problem_response(request, _untyped(exc.status_code, exc.detail))
    response.headers.update(exc.headers or {})
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_allowed(request))
    return response


def _allowed(request: Request) -> list[str]:
    """The methods that any route of the path takes; Starlette tells of the first route alone."""
    routes = request.app.routes
    asked = {method: {**request.scope, "method": method} for method in _METHODS}
    return [
        m for m, scope in asked.items() if any(r.matches(scope)[0] is Match.FULL for r in routes)
    ]


async def on_disconnect(_request: Request, _exc: Exception) -> Response:
    """The answer to nobody."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _on_unexpected(request: Request, exc: Exception) -> Response:
    """Tell nothing of the cause, which the log holds under the same request id."""
    # Starlette raises it again after the answer, and the server logs it with its notes.
    exc.add_note(f"request_id: {request.state.request_id}")
    request.app.state.gateway.metrics.rejected("internal-error")
    details = _untyped(500, "An unexpected error; see the gateway's log.")
    response = problem_response(request, details)
    response.headers[REQUEST_ID_HEADER] = request.state.request_id  # our middleware has ended
    return response


def _untyped(status: int, detail: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}
