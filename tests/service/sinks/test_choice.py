import pytest

from onegauge.service.sinks.choice import Choice, Rate

NORMAL, ANOMALOUS = ("normal", False), ("anomalous", False)
UNKNOWN, INCOMPLETE = ("normal", True), ("incomplete", False)
ALL = [NORMAL, ANOMALOUS, UNKNOWN, INCOMPLETE]


@pytest.mark.parametrize(
    ("send", "wanted"),
    [("all", ALL), ("anomalous", [ANOMALOUS, UNKNOWN, INCOMPLETE]), ("unknown", [UNKNOWN])],
)
def test_decisions_are_chosen_by_what_they_are(send, wanted):
    choice = Choice(send)
    chosen = [(d, unknown) for d, unknown in ALL if choice.wants("press", d, unknown=unknown)]
    assert chosen == wanted


def test_decisions_are_chosen_by_line():
    choice = Choice("anomalous", frozenset({"press", "mill"}))
    assert choice.wants("mill", "anomalous", unknown=False)
    assert not choice.wants("oven", "anomalous", unknown=False)
    assert not choice.wants("mill", "normal", unknown=False)
    assert not choice.wants(None, "anomalous", unknown=True)


def test_no_more_pass_than_allowed():
    rate = Rate("5/hour")
    assert [rate.allows() for _ in range(7)] == [True] * 5 + [False] * 2
    assert all(Rate(None).allows() for _ in range(100))
