import traceback

import pytest
from fastapi.testclient import TestClient

from onegauge.service.errors import BackendOverloaded
from tests.service.fake_backend import FakeBackend


class BrokenBackend(FakeBackend):
    """Fails in a way that nobody foresaw, or in the way it is told."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [("GET", "/nowhere", 404, "Not Found"), ("GET", "/inspect", 405, "Method Not Allowed")],
)
def test_unknown_routes_and_methods_are_problems(client, method, path, status, title):
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["type"], problem["title"]) == ("about:blank", title)
    assert (problem["status"], problem["request_id"]) == (status, response.headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/inspect", "POST"), ("/healthz", "GET, HEAD"), ("/v1/criterion", "GET, PUT")],
)
def test_wrong_method_names_the_right_ones(client, path, methods):
    assert client.delete(path).headers["Allow"] == methods


def test_unexpected_errors_tell_nothing_but_the_request_id(gateway):
    response = gateway(BrokenBackend(RuntimeError("secret path"))).get("/readyz")
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "secret" not in response.text
    assert response.json()["request_id"] == response.headers["X-Request-Id"]


def test_unexpected_errors_reach_the_log_with_their_cause_and_the_request_id(gateway):
    client = TestClient(gateway(BrokenBackend(RuntimeError("secret path"))).app)
    with pytest.raises(RuntimeError) as raised:  # what the server logs
        client.get("/readyz", headers={"X-Request-Id": "press-3:0815"})
    *_, cause, request = traceback.format_exception(raised.value)
    assert "secret path" in cause
    assert "press-3:0815" in request


def test_problems_that_pass_by_say_when_to_come_back(gateway):
    response = gateway(BrokenBackend(BackendOverloaded("queue full", retry_after=3))).get("/readyz")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "3"
    assert response.json()["retry_after"] == 3


def test_problems_are_counted_by_reason(gateway, normal):
    client = gateway(BrokenBackend(BackendOverloaded("queue full", retry_after=3)))
    client.post("/inspect", files=[("image", normal)])
    client.post("/inspect", content=b"", headers={"Content-Type": "text/plain"})
    text = client.get("/metrics").text
    assert 'onegauge_rejected_total{reason="backend-overloaded"} 1.0' in text
    assert 'onegauge_rejected_total{reason="unsupported-body"} 1.0' in text
