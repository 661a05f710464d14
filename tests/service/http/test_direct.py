import pytest

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def without_router(client, monkeypatch):
    """A gateway whose router answers nothing."""

    async def lost(_scope, _receive, _send):
        raise RuntimeError("the router was asked")

    monkeypatch.setattr(client.app.router, "middleware_stack", lost)
    return client


@pytest.mark.parametrize("path", ["/inspect", "/v1/inspect"])
def test_inspections_do_not_pass_the_router(without_router, normal, path):
    assert without_router.post(path, content=normal, headers=PNG).status_code == 200
    refused = without_router.post(path, content=b"", headers=PNG)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/unreadable-image")
    assert refused.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/inspect"), ("POST", "/inspect/"), ("GET", "/model")]
)
def test_all_else_does(without_router, method, path):
    assert without_router.request(method, path).status_code == 500


@pytest.mark.parametrize("path", ["/inspect/", "/v1/inspect/"])
def test_slash_at_the_end_is_no_other_address(client, normal, path):
    answer = client.post(path, content=normal, headers=PNG, follow_redirects=False)
    assert answer.json()["results"][0]["decision"] == "normal"
    assert f'path="{path[:-1]}",status="200"' in client.get("/metrics").text


@pytest.mark.parametrize("path", ["/inspect", "/v1/inspect"])
def test_metrics_tell_the_path(client, normal, path):
    client.post(path, content=normal, headers=PNG)
    counted = f'onegauge_requests_total{{path="{path}",status="200"}} 1.0'
    assert counted in client.get("/metrics").text
