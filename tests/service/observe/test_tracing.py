"""Spans as a collector gets them."""

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onegauge.service.app import create_app
from onegauge.service.errors import BackendUnavailable
from onegauge.service.settings import Settings
from tests.service.fake_backend import FakeBackend
from tests.service.served import served

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(HTTPServer):
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans: list[Span] = []


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for of_scope in of_resource.scope_spans:
                self.server.spans.extend(of_scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def attributes(span: Span) -> dict[str, object]:
    return {a.key: a.value.int_value or a.value.string_value for a in span.attributes}


def test_spans_of_a_request_are_its_stages_below_the_clients_span(
    collector, gauge_repository: Path, normal
):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with served(gauge_repository, tracing=True) as url:
        params = {"map": "png"}
        files = [("image", normal)]
        answer = httpx.post(f"{url}/v1/inspect", files=files, params=params, headers=headers)
        assert answer.status_code == 200
    spans = {span.name: span for span in collector.spans}
    root = spans.pop("POST /v1/inspect")
    assert root.trace_id.hex() == TRACE
    assert root.parent_span_id.hex() == PARENT
    assert attributes(root)["http.response.status_code"] == 200
    assert attributes(root)["http.route"] == "/v1/inspect"
    assert spans.keys() == {"read", "decode", "infer", "postprocess", "encode"}
    assert {span.parent_span_id for span in spans.values()} == {root.span_id}
    assert {span.trace_id for span in spans.values()} == {root.trace_id}


def test_a_request_without_a_trace_begins_one(collector, gauge_repository):
    with served(gauge_repository, tracing=True) as url:
        for path in ("/healthz", "/nowhere"):
            httpx.get(f"{url}{path}")
    assert {span.name for span in collector.spans} == {"GET /healthz", "GET"}
    assert len({span.trace_id for span in collector.spans}) == 2
    assert not any(span.parent_span_id for span in collector.spans)


def test_nothing_is_sent_unless_asked_for(collector, gauge_repository, normal):
    with served(gauge_repository) as url:
        httpx.post(f"{url}/v1/inspect", files=[("image", normal)])
    assert collector.spans == []


def test_missing_library_is_named(gauge_repository, monkeypatch):
    monkeypatch.setitem(sys.modules, "onegauge.service.observe.tracing", None)
    settings = Settings(repository=gauge_repository, tracing=True)
    with pytest.raises(BackendUnavailable, match=r"ONEGAUGE_TRACING.*onegauge\[tracing\]"):
        create_app(settings, FakeBackend())
