"""Which images wait to be learnt, until they are."""

from datetime import timedelta

import pytest

from onegauge.records.history import History
from onegauge.records.lessons import Lessons
from onegauge.records.proposals import Proposals
from tests.records.made import FIRST, record


@pytest.fixture
def lessons(database):
    return Lessons(database)


def kept(number, **fields):
    return record(number, picture=f"{number:064}", media_type="image/png", **fields)


def waiting(lessons):
    return [(lesson.record.part, lesson.kind) for lesson in lessons.open("onegauge")]


def test_a_false_alarm_that_was_marked_waits_until_that_is_taken_back(history, lessons):
    false, other = kept(0), kept(1)
    history.add([false, other])
    history.judge(false.id, "false_alarm", by="anna")
    history.judge(other.id, "confirmed", by="anna")
    assert waiting(lessons) == [("part-0", "normal")]
    history.judge(false.id, None, by="anna")
    assert waiting(lessons) == []


def test_an_image_whose_picture_was_not_kept_cannot_be_learnt(history, lessons):
    without = record(0)
    history.add([without])
    history.judge(without.id, "false_alarm", by="anna")
    assert waiting(lessons) == []


def test_unknown_products_wait_for_somebody_to_say_what_they_are(history, lessons):
    known, first, second, judged = (kept(n, unknown_product=n > 0) for n in range(4))
    history.add([known, first, second, judged])
    history.judge(judged.id, "confirmed", by="anna")

    def undecided():
        now = FIRST + timedelta(days=1)
        return [found.part for found in lessons.unknown("onegauge", now)]

    assert undecided() == ["part-2", "part-1"]
    assert lessons.unknown("another", FIRST) == []
    assert lessons.unknown("onegauge", FIRST + timedelta(days=31)) == []
    lessons.decide([first.id], "new_product", by="anna", product="ring")
    lessons.decide([second.id], "foreign_object", by="anna")
    assert undecided() == []
    assert waiting(lessons) == [("part-1", "new_product")]


def test_the_last_word_about_an_image_counts(history, lessons):
    one = kept(0, unknown_product=True)
    history.add([one])
    lessons.decide([one.id], "new_product", by="anna", product="ring")
    lessons.decide([one.id, "f" * 32], "known_product", by="bert")
    (lesson,) = lessons.open("onegauge")
    assert (lesson.kind, lesson.product, lesson.by) == ("known_product", None, "bert")
    lessons.decide([one.id], "discarded", by="carla")
    assert waiting(lessons) == []


def test_a_false_alarm_that_is_left_out_waits_no_longer(history, lessons):
    false = kept(0)
    history.add([false])
    history.judge(false.id, "false_alarm", by="anna")
    lessons.decide([false.id], "discarded", by="anna")
    assert waiting(lessons) == []


@pytest.mark.parametrize(
    ("state", "waits"),
    [("candidate", False), ("served", False), ("failed", True), ("withdrawn", True)],
)
def test_what_a_proposal_has_learnt_waits_again_if_nothing_came_of_it(
    database, lessons, state, waits
):
    one = kept(0)
    History(database).add([one])
    lessons.decide([one.id], "new_product", by="anna")
    proposals = Proposals(database)
    number = proposals.begin("onegauge", "1", by="anna", inspected=[one.id])
    assert waiting(lessons) == []
    assert [found.part for found in lessons.of(number)] == ["part-0"]
    proposals.step(number, state, by="anna", after=["making"])
    assert bool(waiting(lessons)) == waits
