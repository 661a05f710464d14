from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from onegauge.service.http.keys import add_key
from tests.service.fake_backend import FakeBackend

ROUTES = {
    "inspect": ("POST", "/v1/inspect"),
    "read": ("GET", "/v1/model"),
    "admin": ("POST", "/v1/model/reload"),
}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("headers", [{}, bearer("og_unknown"), {"Authorization": "Basic YTpi"}])
@pytest.mark.parametrize("scope", ROUTES)
def test_without_a_known_key_nothing_is_done(gateway, keys, scope, headers):
    add_key(keys, "press-3", ["inspect"])
    backend = FakeBackend()
    response = gateway(backend, api_keys=keys).request(*ROUTES[scope], headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["type"] == "/problems/unauthorized"
    assert "og_unknown" not in response.text


@pytest.mark.parametrize("path", ["/inspect", "/v1/inspect"])
def test_key_is_asked_for_before_the_body_is_read(gateway, keys, path):
    add_key(keys, "press-3", ["inspect"])

    def body():
        raise AssertionError("the body was asked for")
        yield b""

    client = gateway(FakeBackend(), api_keys=keys)
    assert client.post(path, content=body()).status_code == 401


@pytest.mark.parametrize("scope", ROUTES)
def test_key_opens_what_its_scope_is_for_and_nothing_else(gateway, keys, normal, scope):
    secret = add_key(keys, "it", [scope])
    client: TestClient = gateway(FakeBackend(), api_keys=keys)
    for needed, (method, path) in ROUTES.items():
        files = [("image", normal)] if needed == "inspect" else None
        response = client.request(method, path, headers=bearer(secret), files=files)
        assert response.status_code == (200 if needed == scope else 403)
        if needed != scope:
            assert response.json()["type"] == "/problems/forbidden"


def test_probes_need_no_key_and_metrics_only_where_it_is_asked_for(gateway, keys):
    secret = add_key(keys, "prometheus", ["read"])
    open_metrics = gateway(api_keys=keys)
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics", "/docs"):
        assert open_metrics.get(path).status_code == 200
    closed = gateway(api_keys=keys, metrics_need_key=True)
    assert closed.get("/metrics").status_code == 401
    assert closed.get("/metrics", headers=bearer(secret)).status_code == 200


def test_key_is_good_for_so_many_requests_and_others_are_not_touched(gateway, keys):
    busy, other = add_key(keys, "busy", ["read"]), add_key(keys, "other", ["read"])
    client = gateway(FakeBackend(), api_keys=keys, rate_limit="2/hour")
    statuses = [client.get("/v1/model", headers=bearer(busy)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = client.get("/v1/model", headers=bearer(busy))
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.json()["type"] == "/problems/too-many-requests"
    assert client.get("/v1/model", headers=bearer(other)).status_code == 200


def test_revoked_key_opens_nothing_from_then_on(gateway, keys):
    secret = add_key(keys, "press-3", ["read"])
    client = gateway(FakeBackend(), api_keys=keys)
    assert client.get("/v1/model", headers=bearer(secret)).status_code == 200
    keys.write_text("")
    assert client.get("/v1/model", headers=bearer(secret)).status_code == 401


def test_log_has_the_name_of_the_key_and_not_the_key(gateway, keys, caplog):
    secret = add_key(keys, "press-3", ["read"])
    caplog.set_level("INFO", "onegauge.access")
    gateway(FakeBackend(), api_keys=keys).get("/v1/model", headers=bearer(secret))
    (fields,) = (r.fields for r in caplog.records if r.name == "onegauge.access")
    assert fields["key"] == "press-3"
    assert secret not in str([vars(record) for record in caplog.records])


def test_pages_of_other_origins_are_kept_out_unless_they_are_named(gateway):
    origin = {"Origin": "https://hmi.plant.example"}
    assert "Access-Control-Allow-Origin" not in gateway().get("/healthz", headers=origin).headers
    client = gateway(cors_origins="https://hmi.plant.example,https://other.example")
    allowed = client.get("/healthz", headers=origin).headers["Access-Control-Allow-Origin"]
    assert allowed == origin["Origin"]
    stranger = client.get("/healthz", headers={"Origin": "https://stranger.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


def test_file_that_is_damaged_for_long_locks_all_out_and_the_metrics_tell(gateway, keys):
    secret = add_key(keys, "it", ["read"])
    client = gateway(FakeBackend(), api_keys=keys)
    assert "onegauge_api_keys_unreadable 0.0" in client.get("/metrics").text
    keys.write_text("damaged")
    assert "onegauge_api_keys_unreadable 1.0" in client.get("/metrics").text
    assert client.get("/v1/model", headers=bearer(secret)).status_code == 200
    client.app.state.gateway.access._keys._read_at -= 60
    response = client.get("/v1/model", headers=bearer(secret))
    assert (response.status_code, response.json()["type"]) == (503, "/problems/keys-unreadable")
    assert client.get("/v1/model").status_code == 401


def test_without_keys_none_is_unreadable(client):
    assert "onegauge_api_keys_unreadable 0.0" in client.get("/metrics").text
