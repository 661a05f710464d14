"""The routes of teaching; that a version is made, tried and served by them is in test_teacher."""

import asyncio

import pytest
from fastapi.testclient import TestClient

from onegauge.client import AsyncClient, Client, ClientError, Refused
from onegauge.records.history import History
from onegauge.records.proposals import Proposals
from onegauge.service.http.keys import add_key
from tests.records.made import record
from tests.service.served import served

PATH = "/v1/proposals"
EFFECT = {"before": "1", "after": "2", "by_verdict": {"missed": {"images": 3, "after": 1}}}


def begun(records) -> int:
    """A proposal that was made without a normal image, by nobody's command."""
    proposals = Proposals(records.database)
    number = proposals.begin("onegauge", "1", by="bert", removed=["3fa1c0d2e4b5"])
    found = {"version": "2", "said": ["1 image leaves"], "effect": EFFECT}
    proposals.step(number, "candidate", by=None, after=["making"], **found)
    return number


@pytest.fixture
def client(recording) -> TestClient:
    return recording(keep="all")


@pytest.fixture
def candidate(client) -> int:
    return begun(client.app.state.gateway.records)


def test_what_waits_and_what_came_of_it_are_told(client, candidate):
    alarm = record(1, decision="anomalous", picture="ab" * 32)
    history = History(client.app.state.gateway.records.database)
    history.add([alarm])
    history.judge(alarm.id, "false_alarm", by="ann")
    told = client.get(PATH).json()
    assert (told["served"], told["hindrance"], told["waiting"]) == ("1", "library", 1)
    (proposal,) = told["proposals"]
    steps = [(step["state"], step["by"]) for step in proposal.pop("steps")]
    assert steps == [("making", "bert"), ("candidate", None)]
    assert proposal == {
        **{"number": candidate, "model": "onegauge", "base": "1", "version": "2"},
        **{"state": "candidate", "removed": ["3fa1c0d2e4b5"], "said": ["1 image leaves"]},
        **{"effect": EFFECT, "error": None, "trial": None},
    }
    assert client.get(f"{PATH}/{candidate}").json()["effect"] == EFFECT


def test_a_proposal_is_withdrawn_once_and_by_somebody(client, candidate):
    path = f"{PATH}/{candidate}/state"
    told = client.put(path, json={"state": "withdrawn", "by": "ann"})
    assert (told.status_code, told.json()["state"]) == (200, "withdrawn")
    assert told.json()["steps"][-1]["by"] == "ann"
    again = client.put(path, json={"state": "withdrawn"})
    assert (again.status_code, again.json()["type"]) == (409, "/problems/teaching-refused")
    assert "not making or candidate or shadowed" in again.json()["detail"]


def test_what_cannot_be_served_is_not(client, candidate):
    answer = client.put(f"{PATH}/{candidate}/state", json={"state": "served"})
    assert answer.status_code == 409
    assert "no version 2" in answer.json()["detail"]
    assert client.get(f"{PATH}/{candidate}").json()["state"] == "candidate"


def test_a_model_that_cannot_be_taught_is_told_of(client):
    for body in ({}, {"remove": ["3fa1c0d2e4b5"]}):
        answer = client.post(PATH, json=body)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/teaching-refused")
        assert "library" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [{"remove": []}, {"remove": ["../1"]}, {"remove": "3fa1"}, {"all": True}, [], None]
)
def test_what_is_no_proposal_is_refused(client, body):
    assert client.post(PATH, json=body).json()["type"] == "/problems/invalid-option"


@pytest.mark.parametrize("state", ["making", "candidate", "failed", "", None])
def test_there_are_no_other_steps(client, candidate, state):
    answer = client.put(f"{PATH}/{candidate}/state", json={"state": state})
    assert answer.json()["type"] == "/problems/invalid-option"


def test_a_number_that_no_proposal_has_is_told_so(client):
    for answer in (
        client.get(f"{PATH}/7"),
        client.put(f"{PATH}/7/state", json={"state": "withdrawn"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-proposal")
    assert client.get(f"{PATH}/0").status_code == 422


def test_a_gateway_without_records_teaches_nothing(gateway):
    answer = gateway().get(PATH)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/records-off")


@pytest.mark.parametrize(
    ("scope", "looks", "teaches"),
    [
        ("inspect", 403, 403),
        ("review", 200, 403),
        ("teach", 200, 409),
        ("admin", 200, 409),
    ],
)
def test_who_may_look_and_who_may_teach(recording, tmp_path, scope, looks, teaches):
    key = add_key(tmp_path / "keys", "ann", [scope])
    client = recording(api_keys=tmp_path / "keys", keep="all")
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get(PATH, headers=headers).status_code == looks
    assert client.post(PATH, json={}, headers=headers).status_code == teaches
    state = {"state": "withdrawn"}
    answer = client.put(f"{PATH}/7/state", json=state, headers=headers)
    assert answer.status_code == (403 if teaches == 403 else 404)


def test_the_name_of_the_key_is_whose_step_it_was(recording, tmp_path):
    key = add_key(tmp_path / "keys", "ann", ["teach"])
    client = recording(api_keys=tmp_path / "keys")
    records = client.app.state.gateway.records
    headers = {"Authorization": f"Bearer {key}"}
    path = f"{PATH}/{begun(records)}/state"
    told = client.put(path, json={"state": "withdrawn"}, headers=headers).json()
    assert told["steps"][-1]["by"] == "ann"


def test_clients_look_and_take_steps(gauge_repository, tmp_path):
    records = f"sqlite:///{tmp_path}/records.db"
    with served(gauge_repository, records=records, keep="all") as url, Client(url) as gateway:
        told = gateway.proposals()
        assert (told.served, told.waiting, told.proposals) == ("1", 0, [])
        with pytest.raises(Refused, match="library"):
            gateway.propose(remove=["3fa1c0d2e4b5"], by="ann")
        with pytest.raises(Refused, match="no proposal 7"):
            gateway.proposal(7)
        with pytest.raises(Refused, match="no proposal 7"):
            gateway.take_step(7, "served", by="ann")
        with pytest.raises(ClientError, match="by"):
            gateway.propose(by="a" * 65)

        async def ask() -> None:
            async with AsyncClient(url) as other:
                assert await other.proposals() == told
                for call in (other.propose(), other.proposal(7), other.take_step(7, "shadowed")):
                    with pytest.raises(Refused):
                        await call

        asyncio.run(ask())
