"""Views of parts are found by what was decided on them, and one of them stands for the others."""

from datetime import timedelta

import pytest

from onegauge.records.retention import Limits, prune
from onegauge.records.search import Filter
from tests.records.made import FIRST, decided, record

DECISIONS = ("normal", "anomalous", "anomalous", "normal")
SCORES = (0.9, 1.2, 1.7, 2.5)  # where a rate decides the highest score may be normal


@pytest.fixture
def views() -> list:
    """Of a part, the third of them the worst."""
    pairs = zip(DECISIONS, SCORES, strict=True)
    return [record(n, part="4711", decision=d, score=s) for n, (d, s) in enumerate(pairs)]


def listed(history, **which) -> list[str]:
    return [found.record.id for found in history.find(Filter(**which)).found]


def test_views_bear_what_was_decided_and_the_worst_stands_for_them(history, views):
    alone, other = record(8, part="4711"), record(9, part="4712", line=None)
    history.add(
        [*views, alone, other, decided(views), decided([other], views=2, decision="normal")]
    )
    assert listed(history, part_decision="anomalous") == [view.id for view in reversed(views)]
    assert listed(history, part_decision="normal") == [other.id]
    assert listed(history, part_decision="incomplete") == []
    for order in ("newest", "nearest"):
        found = history.find(Filter(folded=False), order=order).found
        assert {one.record.id for one in found} == {other.id, alone.id, views[2].id}
    told = {found.record.id: found.part_decision for found in history.find().found}
    assert (told[views[0].id], told[other.id], told[alone.id]) == ("anomalous", "normal", None)


def test_a_decision_that_is_written_before_its_views_is_told_to_them_all_the_same(history, views):
    made = decided(views)
    history.add([made])
    history.add(views[:2])
    assert listed(history, folded=False) == [views[1].id]
    history.add([record(7), views[3], views[2]])
    assert listed(history, part="4711", folded=False) == [views[2].id]
    assert len(listed(history, part_decision="anomalous")) == 4
    history.add([made, *views])  # which is there already
    assert listed(history, part="4711", folded=False) == [views[2].id]


def test_what_is_judged_stays_in_lists_when_the_view_that_stood_for_it_leaves(
    database, history, views
):
    later = [record(n, part="4712") for n in (5, 6)]
    history.add([*views, decided(views), *later, decided(later)])
    history.judge(views[0].id, "missed", by="Ada")
    prune(database, None, Limits(records_days=1), FIRST + timedelta(days=1, seconds=4))
    assert listed(history, folded=False) == [later[0].id, views[0].id]
