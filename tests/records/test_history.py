"""Inspections are found by what is asked of them, and take what persons say."""

from dataclasses import replace
from datetime import timedelta

import pytest

from onegauge.records.errors import InvalidCursor, PictureGone, UnknownInspection
from onegauge.records.history import Around
from onegauge.records.search import Filter
from tests.records.made import FIRST, decided, record


def parts(page) -> list[str]:
    return [found.record.part for found in page.found]


def all_parts(history, which=None, **options) -> list[str]:
    """Of all pages, of two inspections each."""
    found, after = [], None
    while True:
        page = history.find(which or Filter(), limit=2, after=after, **options)
        found += parts(page)
        if (after := page.next) is None:
            return found


def test_a_record_comes_back_as_it_was_written(history):
    plain = record(0)
    empty = {"line": None, "part": None, "filename": None, "model_digest": None, "key": None}
    bare = record(1, **empty, threshold=None, max_false_alarm_rate=0.01, regions=[], references=[])
    kept = record(2, picture="ab" * 32, media_type="image/png", preview=True)
    history.add([plain, bare, kept])
    assert [history.get(one.id).record for one in (plain, bare, kept)] == [plain, bare, kept]


def test_the_same_inspection_is_written_once(history):
    first, second = record(1), record(2)
    history.add([first])
    history.add([replace(first, line="other"), second])
    history.add([])
    assert [found.record for found in history.find().found] == [second, first]


def test_small_maps_are_written_with_their_inspections(history):
    first, second = record(1), record(2)
    history.add([first, second], {first.id: b"a map"})
    history.add([first], {first.id: b"another"})
    assert history.map(first.id) == b"a map"
    for name in (second.id, "0" * 32, "\0"):
        with pytest.raises(PictureGone):
            history.map(name)


def test_masks_are_written_with_their_inspections(history):
    first, second = record(1), record(2)
    history.add([first, second], masked={first.id: b"a mask"})
    assert history.mask(first.id) == b"a mask"
    assert history.mask(second.id) is None


def test_a_name_that_no_database_takes_is_written_all_the_same(history):
    odd = record(filename="a\0b\udcff.png", part="<b>Ä'\"; --")
    history.add([odd])
    assert history.get(odd.id).record == replace(odd, filename="a\ufffdb?.png")
    assert parts(history.find(Filter(part=odd.part))) == [odd.part]
    assert parts(history.find(Filter(part="\0"))) == []


def test_pages_hold_each_inspection_once_the_newest_first(history):
    history.add([record(n) for n in (3, 1, 4, 0, 2)])
    assert all_parts(history) == [f"part-{n}" for n in (4, 3, 2, 1, 0)]
    page = history.find(limit=5)
    assert page.next is None


def test_what_arrives_meanwhile_does_not_shift_the_pages(history):
    history.add([record(n) for n in range(4)])
    first = history.find(limit=2)
    history.add([record(n) for n in range(4, 8)])
    assert parts(history.find(limit=2, after=first.next)) == ["part-1", "part-0"]


def test_the_nearest_to_their_thresholds_come_first(history):
    scores = {"a": 1.5, "b": 0.875, "c": 1.125, "d": 0.25, "e": 1.0}
    records = [record(n, part=part, score=score) for n, (part, score) in enumerate(scores.items())]
    history.add([*records, record(9, part="f", score=0.3125, threshold=0.25)])
    assert all_parts(history, order="nearest") == ["e", "f", "b", "c", "a", "d"]


WHICH = [
    (Filter(), "abcdef"),
    (Filter(since=FIRST + timedelta(seconds=2)), "cdef"),
    (Filter(until=FIRST + timedelta(seconds=2)), "ab"),
    (Filter(line="press"), "acdef"),
    (Filter(part="d"), "d"),
    (Filter(part="D"), ""),
    (Filter(decision="anomalous"), "ef"),
    (Filter(unknown=True), "f"),
    (Filter(unknown=False), "abcde"),
    (Filter(verdict="confirmed"), "e"),
    (Filter(verdict="none"), "abcdf"),
    (Filter(min_score=0.5), "cdef"),
    (Filter(max_score=0.5), "abc"),
    (Filter(min_score=0.5, max_score=1.5), "cde"),
    (Filter(model="onegauge"), "acdef"),
    (Filter(model="onegauge", version="2"), "d"),
    (Filter(kept=True), "be"),
    (Filter(kept=False), "acdf"),
    (Filter(line="press", decision="anomalous", verdict="none"), "f"),
]


@pytest.mark.parametrize(("which", "expected"), WHICH, ids=[repr(which) for which, _ in WHICH])
def test_what_is_asked_for_is_found_in_either_order(history, which, expected):
    records = [
        record(0, part="a"),
        record(1, part="b", line="mill", model="other", picture="1" * 64),
        record(2, part="c", score=0.5),
        record(3, part="d", score=0.75, version="2"),
        record(4, part="e", score=1.5, decision="anomalous", picture="2" * 64),
        record(5, part="f", score=2.0, decision="anomalous", unknown_product=True),
    ]
    history.add(records)
    history.judge(records[4].id, "confirmed", by="Ada")
    assert all_parts(history, which) == list(reversed(expected))
    assert sorted(all_parts(history, which, order="nearest")) == list(expected)
    assert [found.record.part for found in history.every(which, batch=2)] == [*reversed(expected)]


CURSORS = ["", "x", "ä", "e30", "W10", "WyJuZXdlc3QiLDFd", "WyJuZXdlc3QiLCInIl0", "W" * 10_000]


@pytest.mark.parametrize("cursor", CURSORS, ids=range(len(CURSORS)))
def test_what_no_page_gave_is_no_cursor(history, cursor):
    with pytest.raises(InvalidCursor):
        history.find(after=cursor)


def test_a_cursor_is_for_its_order(history):
    history.add([record(n) for n in range(3)])
    with pytest.raises(InvalidCursor, match="nearest"):
        history.find(order="nearest", after=history.find(limit=1).next)


def test_those_beside_an_inspection_are_those_of_the_list(history):
    lines = ["press", "mill", "press", "press", "mill"]
    records = [record(n, line=line, score=n / 8) for n, line in enumerate(lines)]
    history.add(records)
    press = Filter(line="press")
    ids = [one.id for one in records]
    assert history.around(ids[2], press) == Around(previous=ids[3], next=ids[0])
    assert history.around(ids[1], press) == Around(previous=ids[2], next=ids[0])
    assert history.around(ids[4]) == Around(previous=None, next=ids[3])
    assert history.around(ids[4], order="nearest") == Around(previous=None, next=ids[3])
    assert history.around(ids[2], press, order="nearest") == Around(previous=ids[3], next=ids[0])
    assert history.around(ids[0], press, order="nearest") == Around(previous=ids[2], next=None)


def test_what_persons_say_is_kept_and_the_last_counts(history):
    one, other = record(1), record(2)
    history.add([one, other])
    first = history.judge(one.id, "confirmed", by="Ada", note="a scratch")
    second = history.judge(one.id, "false_alarm", by="Bob")
    entry = history.get(one.id)
    assert entry.judgements == [first, second]
    assert (first.verdict, first.by, first.note) == ("confirmed", "Ada", "a scratch")
    assert entry.verdict == "false_alarm"
    assert {found.record.id: found.verdict for found in history.find().found} == {
        one.id: "false_alarm",
        other.id: None,
    }


def test_a_note_may_be_of_any_characters(history):
    one = record()
    history.add([one])
    history.judge(one.id, "unclear", by="\udc80", note="<script>\0 Ä'")
    (said,) = history.get(one.id).judgements
    assert (said.by, said.note) == ("?", "<script>\ufffd Ä'")


def test_what_was_said_can_be_taken_back_but_not_hidden(history):
    one = record()
    history.add([one])
    history.judge(one.id, "missed", by="Ada")
    history.judge(one.id, None, by="Ada")
    entry = history.get(one.id)
    assert entry.verdict is None
    assert [judgement.verdict for judgement in entry.judgements] == ["missed", None]
    assert parts(history.find(Filter(verdict="missed"))) == []


def test_what_is_said_of_a_whole_part_holds_for_the_views_that_it_can_and_is_taken_back(history):
    decisions = ("anomalous", "normal", "anomalous", "anomalous")
    views = [record(n, part="4711", decision=made) for n, made in enumerate(decisions)]
    other = record(9, part="4712", decision="anomalous")
    history.add([*views, other])
    ids = [view.id for view in views]

    def verdicts():
        return [history.get(one).verdict for one in ids]

    history.judge(ids[0], "false_alarm", by="Ada", whole_part=True)
    assert verdicts() == ["false_alarm", None, "false_alarm", "false_alarm"]
    assert history.get(other.id).verdict is None
    history.judge(ids[2], "confirmed", by="Ben")
    history.judge(ids[3], None, by="Ada")
    assert verdicts() == [None, None, "confirmed", None]
    history.judge(ids[1], "missed", by="Ada", whole_part=True)
    assert verdicts() == [None, "missed", "confirmed", None]
    history.judge(ids[1], "unclear", by="Ada", whole_part=True)
    assert verdicts() == ["unclear"] * 4


def test_what_was_decided_on_a_part_is_found_by_each_of_its_views(history):
    first = [record(n, part="4711") for n in range(3)]
    again = [record(n, part="4711") for n in (10, 11)]
    others = [record(20, part="4711"), record(1, part="4711", line="mill"), record(2, part=None)]
    made = decided(first[1:], views=3), decided(again, unknown_product=True)
    history.add([*first, *again, *others, *made, made[0]])
    assert [history.part_of(view) for view in first] == [None, made[0], made[0]]
    assert [history.part_of(view) for view in again] == [made[1], made[1]]
    assert [history.part_of(view) for view in others] == [None] * 3
    assert [view.record for view in history.views(made[1])] == again
    unnamed = [record(30, part="4711", line=None)]
    history.add([*unnamed, decided(unnamed)])
    assert history.part_of(unnamed[0]) == decided(unnamed, id=history.part_of(unnamed[0]).id)


def test_of_two_decisions_in_one_millisecond_each_view_has_its_own(history):
    one, two = record(0, part="4711"), record(0, part="4711")
    made = decided([one], time=one.time), decided([two], time=one.time)
    history.add([one, two, *made])
    assert (history.part_of(one), history.part_of(two)) == made


def test_what_is_said_of_a_part_is_said_of_all_views_that_it_was_decided_by(history):
    decisions = ("anomalous", "normal", "anomalous")
    views = [record(n, part="4711", decision=made) for n, made in enumerate(decisions)]
    other = record(9, part="4711", decision="anomalous")
    history.add([*views, other, decided(views)])

    def verdicts():
        return [history.get(one.id).verdict for one in (*views, other)]

    history.judge(views[1].id, "false_alarm", by="Ada", whole_part=True)
    assert verdicts() == ["false_alarm", "confirmed", "false_alarm", None]
    history.judge(views[0].id, None, by="Ada")
    assert verdicts() == [None] * 4
    history.judge(views[0].id, "unclear", by="Ada", whole_part=True)
    history.judge(views[2].id, "confirmed", by="Ben")
    history.judge(views[1].id, None, by="Ada")
    assert verdicts() == [None, None, "confirmed", None]


def test_those_beside_a_part_are_none_of_its_views(history):
    records = [record(n) for n in range(4)]
    history.add(records)
    ids = [one.id for one in records]
    assert history.around(ids[2], but=ids[1:3]) == Around(previous=ids[3], next=ids[0])


@pytest.mark.parametrize("name", ["", "0" * 32, "\0", "../etc", "' OR 1=1 --"])
def test_an_inspection_that_is_not_there_is_told(history, name):
    for ask in (history.get, history.around, lambda name: history.judge(name, "missed", by=None)):
        with pytest.raises(UnknownInspection):
            ask(name)
