"""What every request passes: it gets an id, a line in the log and a count, its answer headers."""

import logging
import re
from collections.abc import Iterable
from random import getrandbits
from time import perf_counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onegauge.service.observe.metrics import Metrics

REQUEST_ID_HEADER = "X-Request-Id"
# Browsers shall neither frame nor guess at an answer, nor store one that does not say how long.
_SECURITY = (
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)
_NO_STORE = (b"cache-control", b"no-store")
_POLICY = b"default-src 'none'; frame-ancestors 'none'"
# The page of /docs runs a script of its own, which draws with images of its own.
_DOCS_POLICY = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; frame-ancestors 'none'"
)
_REVIEW_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HARMLESS = re.compile(r"[\w.:-]{1,64}", re.ASCII)

_log = logging.getLogger("onegauge.access")


class Middleware:
    """For ASGI; routes add what they know to the `access` dict of the request's state."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        request_id = _request_id(Headers(scope=scope))
        status = 500  # what the server answers when an exception passes through
        access: dict[str, object] = {}
        scope.setdefault("state", {}).update(request_id=request_id, access=access)
        if scope["method"] == "POST":  # few clients follow a redirection with a body
            scope["path"] = scope["path"].removesuffix("/")

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (REQUEST_ID_HEADER.lower().encode(), request_id.encode()),
                    *_headers_beside(message["headers"], scope["path"]),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            seconds = perf_counter() - start
            self._metrics.requested(getattr(scope.get("route"), "path", None), status, seconds)
            fields = {
                "request_id": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "duration_ms": round(1000 * seconds, 1),
                **access,
            }
            _log.info("request", extra={"fields": fields})


def _headers_beside(given: Iterable[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    """What tells a browser how to treat an answer with these headers."""
    policy, referrer = _POLICY, b"no-referrer"
    if path.startswith("/docs"):
        policy = _DOCS_POLICY
    elif path.startswith("/review"):
        # a form that is sent without a referrer would not say which origin it comes from
        policy, referrer = _REVIEW_POLICY, b"same-origin"
    headers = [(b"content-security-policy", policy), (b"referrer-policy", referrer), *_SECURITY]
    return headers if any(name == _NO_STORE[0] for name, _ in given) else [*headers, _NO_STORE]


def _request_id(headers: Headers) -> str:
    """The client's own id when it is harmless, else a new one."""
    given = headers.get(REQUEST_ID_HEADER, "")
    if _HARMLESS.fullmatch(given):
        return given
    return f"{getrandbits(128):032x}"  # no secret, so that the kernel need not be asked
