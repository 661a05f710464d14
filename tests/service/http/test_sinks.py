"""The routes of the sinks."""

import asyncio

import pytest

from onegauge.client import AsyncClient, Client, Refused
from onegauge.service.http.keys import add_key
from tests.line import wait_until
from tests.service.served import served

PATH = "/v1/sinks"


def test_the_state_of_each_sink_is_told(telling, mes, normal):
    client = telling()
    client.post("/inspect", files={"image": normal})
    wait_until(lambda: client.get(PATH).json()["sinks"][0]["events"] == {"delivered": 1})
    assert client.get(PATH).json() == {
        "sinks": [
            {
                **{"name": "mes", "kind": "webhook", "enabled": True, "reachable": True},
                **{"waiting": 0, "spooled_bytes": 0, "lag_s": 0.0, "last_error": None},
                "events": {"delivered": 1},
            }
        ]
    }
    mes.answer.status = 503
    client.post("/inspect", files={"image": normal})
    wait_until(lambda: not client.get(PATH).json()["sinks"][0]["reachable"])
    (told,) = client.get(PATH).json()["sinks"]
    assert told["last_error"] == "the receiver answers 503 Service Unavailable"


def test_a_sink_is_turned_off_and_on(telling, mes, normal):
    client = telling()
    told = client.put(f"{PATH}/mes", json={"enabled": False})
    assert (told.status_code, told.json()["enabled"]) == (200, False)
    client.post("/inspect", files={"image": normal})
    assert client.put(f"{PATH}/mes", json={"enabled": True}).json()["enabled"] is True
    (wanted,) = client.post("/inspect", files={"image": normal}).json()["results"]
    wait_until(lambda: mes.ids == [wanted["inspection"]])


def test_a_gateway_may_have_no_sinks(client):
    assert client.get(PATH).json() == {"sinks": []}
    answer = client.put(f"{PATH}/mes", json={"enabled": False})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-sink")


def test_a_sink_that_is_not_there_is_told(telling):
    answer = telling().put(f"{PATH}/scada", json={"enabled": False})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-sink")
    assert answer.json()["detail"] == "There is no sink 'scada', but mes."


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"{}",
        b'{"enabled": 7}',
        b'{"enabled": 1}',
        b'{"enabled": "no"}',
        b'{"enabled": true, "a": 1}',
    ],
)
def test_a_switch_has_two_positions(telling, given):
    answer = telling().put(f"{PATH}/mes", content=given)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-option")


def test_only_an_admin_may(telling, tmp_path):
    keys = tmp_path / "keys"
    heads = {
        scope: {"Authorization": f"Bearer {add_key(keys, scope, [scope])}"}
        for scope in ("inspect", "read", "review", "teach", "admin")
    }
    client = telling(api_keys=keys)
    for scope, head in heads.items():
        status = 200 if scope == "admin" else 403
        assert client.get(PATH, headers=head).status_code == status
        put = client.put(f"{PATH}/mes", json={"enabled": True}, headers=head)
        assert put.status_code == status


def test_the_clients_of_python_do_the_same(gauge_repository, sinks_file):
    async def switched(url: str) -> list[bool]:
        async with AsyncClient(url) as gateway:
            await gateway.switch_sink("mes", enabled=True)
            return [sink.enabled for sink in (await gateway.sinks()).sinks]

    with served(gauge_repository, sinks=sinks_file) as url, Client(url) as gateway:
        assert [sink.name for sink in gateway.sinks().sinks] == ["mes"]
        assert gateway.switch_sink("mes", enabled=False).enabled is False
        assert gateway.sinks().sinks[0].enabled is False
        assert asyncio.run(switched(url)) == [True]
        with pytest.raises(Refused, match="There is no sink 'scada'"):
            gateway.switch_sink("scada", enabled=False)
