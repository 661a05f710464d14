from datetime import timedelta
from math import isnan

import pytest

from onegauge.service.sinks.station import Code, Result, Shown, State, Station
from tests.service.sinks.decided import NOON, decided, verdict

TIMEOUT_S = 5.0


class Clock:
    """Seconds since noon, that pass when a test says so."""

    def __init__(self) -> None:
        self.s = 0.0

    def now(self):
        return NOON + timedelta(seconds=self.s)

    def passes(self, seconds: float) -> None:
        self.s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def station(clock) -> Station:
    return Station(TIMEOUT_S, lambda: clock.s, clock.now)


def take(station: Station, clock: Clock, *args: str, **known: object):
    """Something is decided now; the event."""
    event = decided(*args, **known, time=clock.now())
    station.take(event)
    return event


def answer(shown: Shown) -> tuple[State, int, Code]:
    return shown.state, shown.answered, shown.result.code


def test_begins_idle_with_nothing_to_show(station):
    shown = station.shown()
    assert answer(shown) == (State.IDLE, 0, Code.NONE)
    assert shown.last == Result()
    assert shown.counts == (0, 0, 0, 0)
    assert isnan(shown.values()["Score"])


def test_shows_and_counts_what_is_decided_without_a_trigger(station, clock):
    take(station, clock)
    take(station, clock, "anomalous", score=1.5)
    take(station, clock, "anomalous", unknown=True)
    station.take(verdict("incomplete", "4711", score=None))
    last = take(station, clock, "anomalous", score=2.5, part="4712")
    shown = station.shown()
    assert shown.last == Result(Code.ANOMALOUS, 2.5, 0.25, "4712", last.id, clock.now())
    assert shown.counts == (1, 2, 1, 1)
    assert shown.values()["Total"] == 5
    assert answer(shown) == (State.IDLE, 0, Code.NONE)


def test_unknown_product_comes_before_its_decision(station, clock):
    take(station, clock, "normal", unknown=True)
    assert station.shown().last.code is Code.UNKNOWN


def test_verdict_without_score_has_none(station):
    station.take(verdict("incomplete", "4711", score=None))
    last = station.shown().last
    assert (last.code, last.part) == (Code.INCOMPLETE, "4711")
    assert isnan(last.score)
    assert isnan(last.p_value)


def test_trigger_is_answered_by_the_next_decision(station, clock):
    take(station, clock, "anomalous")
    station.ask(7)
    assert answer(station.shown()) == (State.WAITING, 0, Code.NONE)
    event = take(station, clock, score=0.75, part="4711")
    shown = station.shown()
    assert answer(shown) == (State.DONE, 7, Code.NORMAL)
    assert shown.result == Result(Code.NORMAL, 0.75, 0.25, "4711", event.id, clock.now())


def test_answer_stays_while_the_line_goes_on(station, clock):
    station.ask(7)
    take(station, clock)
    take(station, clock, "anomalous")
    shown = station.shown()
    assert answer(shown) == (State.DONE, 7, Code.NORMAL)
    assert shown.last.code is Code.ANOMALOUS


def test_what_was_decided_before_the_trigger_is_no_answer(station, clock):
    early = decided("anomalous", time=clock.now())
    clock.passes(0.001)
    station.ask(7)
    station.take(early)  # it was on its way
    assert station.shown().state is State.WAITING
    take(station, clock)
    assert answer(station.shown()) == (State.DONE, 7, Code.NORMAL)


def test_trigger_of_a_part_waits_for_that_part(station, clock):
    station.ask(7, "4711")
    take(station, clock, "anomalous")
    take(station, clock, "anomalous", part="4710")
    assert answer(station.shown()) == (State.WAITING, 0, Code.NONE)
    take(station, clock, part="4711")
    assert answer(station.shown()) == (State.DONE, 7, Code.NORMAL)


def test_part_that_never_comes_fails(station, clock):
    station.ask(7, "4711")
    take(station, clock, part="4710")
    clock.passes(TIMEOUT_S)
    assert answer(station.shown()) == (State.FAILED, 7, Code.NONE)


def test_trigger_that_is_written_in_each_cycle_counts_once(station, clock):
    station.ask(7)
    clock.passes(TIMEOUT_S / 2)
    station.ask(7)
    take(station, clock)
    station.ask(7)
    assert answer(station.shown()) == (State.DONE, 7, Code.NORMAL)


def test_same_trigger_again_does_not_prolong_the_wait(station, clock):
    station.ask(7)
    clock.passes(TIMEOUT_S / 2)
    station.ask(7)
    clock.passes(TIMEOUT_S / 2)
    station.ask(7)
    assert answer(station.shown()) == (State.FAILED, 7, Code.NONE)


def test_fails_at_the_timeout_and_not_before(station, clock):
    station.ask(7)
    clock.passes(TIMEOUT_S - 0.001)
    assert station.shown().state is State.WAITING
    clock.passes(0.001)
    assert answer(station.shown()) == (State.FAILED, 7, Code.NONE)


def test_decision_after_the_timeout_is_too_late(station, clock):
    station.ask(7)
    clock.passes(TIMEOUT_S)
    take(station, clock)  # before anybody looked
    shown = station.shown()
    assert answer(shown) == (State.FAILED, 7, Code.NONE)
    assert shown.last.code is Code.NORMAL


def test_next_trigger_after_a_failure_begins_anew(station, clock):
    station.ask(7)
    clock.passes(TIMEOUT_S)
    station.ask(8)
    assert answer(station.shown()) == (State.WAITING, 0, Code.NONE)
    take(station, clock)
    assert answer(station.shown()) == (State.DONE, 8, Code.NORMAL)


def test_new_trigger_while_one_waits_takes_its_place(station, clock):
    station.ask(7, "4711")
    clock.passes(TIMEOUT_S / 2)
    station.ask(8, "4712")
    clock.passes(TIMEOUT_S / 2)
    take(station, clock, "anomalous", part="4711")
    assert answer(station.shown()) == (State.WAITING, 0, Code.NONE)
    take(station, clock, part="4712")
    assert answer(station.shown()) == (State.DONE, 8, Code.NORMAL)


def test_new_trigger_clears_the_answer_to_the_one_before(station, clock):
    station.ask(7)
    take(station, clock, "anomalous")
    station.ask(8)
    shown = station.shown()
    assert answer(shown) == (State.WAITING, 0, Code.NONE)
    assert shown.result == Result()


def test_zero_while_waiting_takes_the_wish_back(station, clock):
    station.ask(7)
    station.ask(0)
    take(station, clock)
    assert answer(station.shown()) == (State.IDLE, 0, Code.NONE)
    clock.passes(TIMEOUT_S)
    assert station.shown().state is State.IDLE


def test_zero_after_the_answer_is_idle_and_keeps_the_result(station, clock):
    station.ask(7)
    take(station, clock, "anomalous")
    station.ask(0)
    assert answer(station.shown()) == (State.IDLE, 7, Code.ANOMALOUS)


def test_same_number_after_zero_is_a_new_trigger(station, clock):
    station.ask(7)
    take(station, clock, "anomalous")
    station.ask(0)
    station.ask(7)
    assert answer(station.shown()) == (State.WAITING, 0, Code.NONE)
    take(station, clock)
    assert answer(station.shown()) == (State.DONE, 7, Code.NORMAL)


def test_running_number_may_begin_again_at_one(station, clock):
    for trigger in (65_534, 65_535, 1):
        station.ask(trigger)
        take(station, clock)
        assert answer(station.shown()) == (State.DONE, trigger, Code.NORMAL)


def test_part_of_an_earlier_trigger_is_forgotten(station, clock):
    station.ask(7, "4711")
    station.ask(8)
    take(station, clock, part="4712")
    assert answer(station.shown()) == (State.DONE, 8, Code.NORMAL)


def test_counters_begin_again_after_32_bits(station, clock):
    station._counts = [0, 2**32 - 1, 1, 0, 0]
    assert station.shown().values()["Total"] == 0
    take(station, clock)
    shown = station.shown()
    assert shown.counts == (0, 1, 0, 0)
    assert shown.values()["Total"] == 1


def test_heartbeat_counts_seconds_and_begins_again_after_16_bits(station, clock):
    assert station.shown().heartbeat == 0
    clock.passes(1.5)
    assert station.shown().heartbeat == 1
    clock.passes(65_534.4)
    assert station.shown().heartbeat == 65_535
    clock.passes(0.2)
    assert station.shown().heartbeat == 0
