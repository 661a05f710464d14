"""A request id, one access line and one count for every request."""

import logging
import re
from random import getrandbits
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onegauge.service.observe.metrics import Metrics

REQUEST_ID_HEADER = "X-Request-Id"

_log = logging.getLogger("onegauge.access")


class AccessLog:
    """ASGI middleware; routes add what they know to the `access` dict of the request's state."""

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

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
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


def _request_id(headers: Headers) -> str:
    """The client's own id when it is harmless, else a new one."""
    given = headers.get(REQUEST_ID_HEADER, "")
    if re.fullmatch(r"[\w.:-]{1,64}", given, re.ASCII):
        return given
    return f"{getrandbits(128):032x}"  # no secret, so that the kernel need not be asked
