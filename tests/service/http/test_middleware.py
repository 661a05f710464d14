import logging

import pytest


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture):
    """The fields of the access lines so far."""
    caplog.set_level(logging.INFO, "onegauge.access")
    return lambda: [r.fields for r in caplog.records if r.name == "onegauge.access"]


def test_one_line_a_request_with_what_was_decided(client, lines, normal, defective):
    files = [("image", normal), ("image", defective), ("image", defective), ("image", b"text")]
    response = client.post("/inspect", files=files, params={"line": "press-3"})
    (fields,) = lines()
    assert fields["request_id"] == response.headers["X-Request-Id"]
    assert (fields["method"], fields["path"], fields["status"]) == ("POST", "/inspect", 200)
    assert (fields["line"], fields["images"]) == ("press-3", 4)
    assert fields["decisions"] == {"normal": 1, "anomalous": 2}
    assert fields["duration_ms"] > 0


def test_refusals_are_logged_with_their_status(client, lines):
    client.get("/nowhere")
    assert [fields["status"] for fields in lines()] == [404]


def test_sane_request_id_of_the_client_is_kept(client):
    response = client.get("/healthz", headers={"X-Request-Id": "press-3:0815"})
    assert response.headers["X-Request-Id"] == "press-3:0815"


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "<script>", "\u00e9".encode()])
def test_other_request_ids_are_replaced(client, given):
    response = client.get("/healthz", headers={"X-Request-Id": given})
    assert len(response.headers["X-Request-Id"]) == 32


def test_requests_without_an_id_get_one_each(client):
    ids = {client.get("/healthz").headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3


def test_requests_are_counted_by_route_and_status(client, normal):
    client.post("/inspect", files=[("image", normal)])
    client.post("/v1/inspect", files=[("image", b"text")])
    for unknown in ("/nowhere", "/elsewhere"):
        client.get(unknown)
    detect = "/2020-11-20/projects/{project}/models/{version}/detect"
    lookout = detect.format(project="x", version=1)
    client.post(lookout, content=normal, headers={"Content-Type": "image/png"})
    found = client.get("/metrics").text
    for path, status in [("/inspect", 200), ("/v1/inspect", 415), (detect, 200)]:
        assert f'onegauge_requests_total{{path="{path}",status="{status}"}} 1.0' in found
    assert 'onegauge_requests_total{path="other",status="404"} 2.0' in found
    assert 'onegauge_request_duration_seconds_count{path="/inspect"} 1.0' in found


@pytest.mark.parametrize("path", ["/inspect/", "/v1/inspect/"])
def test_slash_at_the_end_is_no_other_address(client, normal, path):
    png = {"Content-Type": "image/png"}
    answer = client.post(path, content=normal, headers=png, follow_redirects=False)
    assert answer.json()["results"][0]["decision"] == "normal"
    assert f'path="{path[:-1]}",status="200"' in client.get("/metrics").text


def test_browsers_are_told_to_make_nothing_of_an_answer(client):
    headers = client.get("/healthz").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "script-src 'self'" in client.get("/docs").headers["Content-Security-Policy"]
