"""Proposals go from step to step, one at a time, and say who went."""

import pytest

from onegauge.records.errors import WrongState
from onegauge.records.proposals import Proposals


@pytest.fixture
def proposals(database):
    return Proposals(database)


def test_a_proposal_tells_what_was_found_and_who_took_each_step(proposals):
    number = proposals.begin("onegauge", "1", by="anna", removed=["aa", "bb"])
    found = {"version": "2", "said": ["two leave"], "effect": {"images": 3}}
    proposals.step(number, "candidate", by=None, after=["making"], **found)
    proposals.step(number, "served", by="bert", after=["candidate", "shadowed"])
    proposal = proposals.get(number)
    assert (proposal.base, proposal.version, proposal.state) == ("1", "2", "served")
    assert (proposal.removed, proposal.said) == (["aa", "bb"], ["two leave"])
    assert proposal.effect == {"images": 3}
    told = [(step.state, step.by) for step in proposal.steps]
    assert told == [("making", "anna"), ("candidate", None), ("served", "bert")]


def test_a_step_is_taken_once(proposals):
    number = proposals.begin("onegauge", "1", by="anna")
    proposals.step(number, "withdrawn", by="anna", after=["making"])
    with pytest.raises(WrongState, match=f"proposal {number} is not making any more"):
        proposals.step(number, "candidate", by="bert", after=["making"])
    assert proposals.get(number).state == "withdrawn"


@pytest.mark.parametrize("state", ["making", "candidate", "shadowed"])
def test_one_proposal_of_a_model_is_under_way_at_a_time(proposals, state):
    number = proposals.begin("onegauge", "1", by="anna")
    if state != "making":
        proposals.step(number, state, by="anna", after=["making"])
    with pytest.raises(WrongState, match="another proposal is under way"):
        proposals.begin("onegauge", "1", by="bert")
    proposals.begin("another", "1", by="bert")
    proposals.step(number, "served", by="anna", after=[state])
    assert proposals.begin("onegauge", "2", by="bert") > number


def test_the_newest_come_first_and_unknown_ones_are_none(proposals):
    for by in ("anna", "bert"):
        number = proposals.begin("onegauge", "1", by=by)
        proposals.step(number, "failed", by=None, after=["making"], error="no room")
    first, second = proposals.newest("onegauge")
    assert (first.number, first.error, second.number) == (number, "no room", number - 1)
    assert proposals.get(number + 1) is None
