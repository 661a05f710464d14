"""Spans of requests and their stages for OpenTelemetry; needs `onegauge[tracing]`.

Where spans go is said by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import os
from contextlib import AbstractContextManager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PROPAGATOR = TraceContextTextMapPropagator()
_FAILURE = 500


class Tracing:
    """Makes spans and sends them in batches, beside the requests."""

    def __init__(self) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME", "onegauge")
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self._provider.get_tracer("onegauge")

    def span(self, name: str) -> AbstractContextManager[Span]:
        """A span below the one that surrounds it."""
        return self.tracer.start_as_current_span(name)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class TracedRequests:
    """ASGI middleware: a span for each request, below the client's where it sends `traceparent`."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parent = _PROPAGATOR.extract(dict(Headers(scope=scope)))
        start = self._tracing.tracer.start_as_current_span
        with start(scope["method"], context=parent, kind=SpanKind.SERVER) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note(span, scope, message["status"])
                await send(message)

            await self._app(scope, receive, send_and_note)


def trace_headers() -> dict[str, str]:
    """The current span as the header `traceparent`, for whom we ask."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers


def _note(span: Span, scope: Scope, status: int) -> None:
    """Name and attributes of OpenTelemetry's conventions for HTTP servers."""
    route = getattr(scope.get("route"), "path", None)
    if route:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.request.method", scope["method"])
    span.set_attribute("http.response.status_code", status)
    if status >= _FAILURE:
        span.set_status(Status(StatusCode.ERROR))
