"""Spans for OpenTelemetry; needs `onegauge[tracing]`. FastAPI makes those of requests.

Where spans go is said by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import os
from contextlib import AbstractContextManager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span


class Tracing:
    """Makes spans and sends them in batches, beside the requests."""

    def __init__(self) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME", "onegauge")
        self.provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self.provider.get_tracer("onegauge")

    def span(self, name: str) -> AbstractContextManager[Span]:
        """A span below the one that surrounds it."""
        return self._tracer.start_as_current_span(name)

    def close(self) -> None:
        """Send what is left."""
        self.provider.shutdown()
