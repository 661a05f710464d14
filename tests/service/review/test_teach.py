"""The page of teaching: what waits, what was proposed, who may do something about it."""

import pytest

from onegauge.records.lessons import Lessons
from onegauge.records.proposals import Proposals
from onegauge.service.http.keys import add_key
from tests.service.review.conftest import ANNA, FORM

EFFECT = {
    "before": "1",
    "after": "2",
    "by_verdict": {"false_alarm": {"images": 7, "before": 6, "after": 2}},
    "newly_anomalous": [],
    "no_longer_anomalous": [],
    "changed": [0, 4],
    "learnt": 3,
    "failed": 0,
}


@pytest.fixture
def proposals(review):
    return Proposals(review.client.app.state.gateway.records.database)


@pytest.fixture
def candidate(review, proposals):
    """A proposal that was made."""
    inspected = review.add_seen(0)
    effect = {**EFFECT, "no_longer_anomalous": [inspected.id, "f" * 32]}
    number = proposals.begin("onegauge", "1", by="bert")
    found = {"version": "2", "said": ["3 images become references"], "effect": effect}
    proposals.step(number, "candidate", by=None, after=["making"], **found)
    return number


def send(review, path, **fields):
    data = {**ANNA, **fields}
    return review.client.post(path, data=data, headers=FORM, follow_redirects=False)


def test_marked_false_alarms_wait_until_they_are_left_out(review):
    alarm, other = review.add_seen(0), review.add_seen(1)
    for one in (alarm, other):
        review.history.judge(one.id, "false_alarm", by="anna")
    assert "Waits to be learnt: 2" in review.client.get("/review/teach").text
    assert send(review, f"/review/teach/leave/{alarm.id}").status_code == 303
    text = review.client.get("/review/teach").text
    assert "Waits to be learnt: 1" in text
    assert alarm.id not in text
    lessons = Lessons(review.client.app.state.gateway.records.database)
    assert [lesson.record.id for lesson in lessons.open("onegauge")] == [other.id]


def test_a_model_that_cannot_be_taught_says_what_to_do(review):
    review.history.judge(review.add_seen(0).id, "false_alarm", by="anna")
    text = review.client.get("/review/teach").text
    assert "keeps no library of its normal images" in text
    assert ">Propose</button>" not in text
    response = send(review, "/review/teach/propose")
    assert response.status_code == 409
    assert "library" in response.text


def test_the_effect_is_shown_before_anything_is_served(review, candidate):
    text = review.client.get("/review/teach").text
    assert f"Proposal {candidate} · Candidate" in text
    cells = '<th scope="row">False alarms</th><td>7</td><td>6</td><td>2</td>'
    assert cells in text
    assert "No longer anomalous: 4" in text
    assert "part-0" in text
    assert "3 left out" in text
    assert "3 images become references" in text
    assert "bert" in text


def test_a_proposal_that_is_withdrawn_makes_room_for_another(review, candidate, proposals):
    assert send(review, f"/review/teach/{candidate}/withdraw").status_code == 303
    proposal = proposals.get(candidate)
    assert [(step.state, step.by) for step in proposal.steps][-1] == ("withdrawn", "Anna")
    assert "Withdrawn" in review.client.get("/review/teach").text
    assert send(review, f"/review/teach/{candidate}/serve").status_code == 409
    assert proposals.begin("onegauge", "1", by="anna") > candidate


def test_a_candidate_that_is_not_there_is_not_served(review, candidate, proposals):
    response = send(review, f"/review/teach/{candidate}/serve")
    assert response.status_code == 409
    assert "no version 2" in response.text
    assert proposals.get(candidate).state == "candidate"
    assert review.client.get("/v1/model").json()["version"] == "1"


@pytest.mark.parametrize("step", ["explode", "propose"])
def test_there_are_no_other_steps(review, candidate, step):
    assert send(review, f"/review/teach/{candidate}/{step}").status_code in (404, 422)


def test_other_sites_teach_nothing(review, candidate, proposals):
    headers = {"Origin": "http://elsewhere"}
    path = f"/review/teach/{candidate}/withdraw"
    assert review.client.post(path, data=ANNA, headers=headers).status_code == 403
    assert proposals.get(candidate).state == "candidate"


@pytest.mark.parametrize(("scopes", "may"), [("review", False), ("review,teach", True)])
def test_who_may_only_look_is_told_so(start, tmp_path, scopes, may):
    keys = tmp_path / "keys"
    secret = add_key(keys, "anna", scopes.split(","))
    review = start(api_keys=keys)
    login = {"key": secret, "then": "/review/teach"}
    review.client.post("/review/login", data=login, headers=FORM)
    alarm = review.add_seen(0)
    review.history.judge(alarm.id, "false_alarm", by="anna")
    text = review.client.get("/review/teach").text
    assert ("This key may look" in text) is not may
    response = send(review, f"/review/teach/leave/{alarm.id}")
    assert response.status_code == (303 if may else 403)
