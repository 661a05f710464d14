import pytest

from onegauge.schemas import NO_LINE
from onegauge.service.sinks.station import Code, Station
from onegauge.service.sinks.stations import MAX_LINES, Stations
from tests.service.sinks.decided import decided, verdict


def stations(*lines: str) -> Stations:
    return Stations(lines or None, lambda: Station(5.0))


def test_listed_lines_are_there_before_their_first_decision_and_no_others():
    shown = stations("line-2", "line-1")
    shown.take([decided("anomalous", line="line-1"), decided(line="line-3"), decided(line=None)])
    assert shown.lines() == ("line-2", "line-1")
    assert shown["line-1"].shown().last.code is Code.ANOMALOUS
    assert shown["line-2"].shown().last.code is Code.NONE
    with pytest.raises(KeyError):
        shown["line-3"]


def test_lines_appear_as_they_come_where_none_is_listed():
    shown = stations()
    assert shown.lines() == ()
    shown.take([decided(line="line-2"), decided("anomalous", line=None), decided(line="line-2")])
    assert shown.lines() == ("line-2", NO_LINE)
    assert shown["line-2"].shown().counts == (2, 0, 0, 0)
    assert shown[NO_LINE].shown().counts == (0, 1, 0, 0)


def test_lines_that_appear_are_bounded():
    shown = stations()
    shown.take(decided(line=f"line-{number}") for number in range(MAX_LINES + 1))
    shown.take([decided("anomalous", line="line-0")])
    assert len(shown.lines()) == MAX_LINES
    assert shown["line-0"].shown().counts == (1, 1, 0, 0)


def test_part_of_several_views_is_shown_by_its_verdict_alone():
    shown = stations("line-1")
    station = shown["line-1"]
    station.ask(7, "4711")
    shown.take(decided(part="4711", views=3) for _ in range(3))
    assert station.shown().counts == (0, 0, 0, 0)
    shown.take([verdict("anomalous", "4711")])
    assert station.shown().counts == (0, 1, 0, 0)
