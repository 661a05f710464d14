"""What is old, or too much, leaves; what a person marked stays."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from onegauge.records.database import Database
from onegauge.records.errors import PictureGone, UnknownInspection
from onegauge.records.history import History
from onegauge.records.lessons import Lessons
from onegauge.records.pictures import Pictures
from onegauge.records.record import Record
from onegauge.records.retention import BATCH, Limits, Pruned, prune
from onegauge.records.tables import inspections, parts
from tests.records.made import FIRST, decided, record

SIZE = 1000
NOW = FIRST + timedelta(days=10)


@pytest.fixture
def pictures(tmp_path) -> Pictures:
    return Pictures(tmp_path / "pictures")


def kept(pictures: Pictures, day: int, data: bytes | None = None) -> Record:
    """An inspection of a day, whose picture and thumbnail have SIZE bytes."""
    one = record(time=FIRST + timedelta(days=day), part=str(day), preview=True)
    digest = pictures.put(data or f"{day:{SIZE - 60}}".encode())
    pictures.put_thumbnail(digest, b"t" * 60)
    return replace(one, picture=digest, media_type="image/png")


def remaining(history) -> list[tuple[str, bool]]:
    """Each inspection that is left, the oldest first, and whether it has its picture."""
    return [(f.record.part, f.record.picture is not None) for f in history.every()][::-1]


def test_without_limits_all_stays(database, history, pictures):
    history.add([kept(pictures, 0)])
    assert prune(database, pictures, Limits(), NOW) == Pruned()
    ever = Limits(pictures_days=1e12, records_days=1e12, pictures_bytes=10**15)
    assert prune(database, pictures, ever, NOW) == Pruned()
    assert remaining(history) == [("0", True)]


def test_pictures_leave_after_some_days_and_rows_after_more(database, history, pictures):
    records = [kept(pictures, day) for day in (1, 4, 8)]
    history.add([*records, record(time=FIRST, part="bare")])
    done = prune(database, pictures, Limits(pictures_days=5, records_days=8), NOW)
    assert done == Pruned(pictures=2, bytes=2 * SIZE, rows=2)
    assert remaining(history) == [("4", False), ("8", True)]
    assert history.get(records[1].id).record.preview is False
    with pytest.raises(UnknownInspection):
        history.get(records[0].id)
    assert pictures.size() == SIZE
    assert prune(database, pictures, Limits(pictures_days=5, records_days=8), NOW) == Pruned()


def test_a_decision_of_a_part_leaves_with_the_last_of_its_pictures(database, history):
    made = [record(time=FIRST, part=name) for name in ("gone", "judged")]
    made.append(record(time=FIRST + timedelta(days=8), part="new"))
    told = [decided([one]) for one in made]
    history.add([*made, *told])
    history.judge(made[1].id, "confirmed", by="Ada")
    prune(database, None, Limits(records_days=5), NOW)
    with database.reading() as connection:
        assert {*connection.scalars(select(parts.c.part))} == {"judged", "new"}


def test_of_too_many_bytes_the_oldest_leave_and_no_more_than_must(database, history, pictures):
    history.add([kept(pictures, day) for day in range(6)])
    done = prune(database, pictures, Limits(pictures_bytes=2 * SIZE + 1), NOW)
    assert done == Pruned(pictures=4, bytes=4 * SIZE)
    assert [has for _, has in remaining(history)] == [False] * 4 + [True] * 2


@pytest.mark.parametrize(
    "limits", [Limits(records_days=1, pictures_days=1), Limits(pictures_bytes=0)]
)
def test_what_a_person_marked_stays(database, history, pictures, limits):
    records = [kept(pictures, day) for day in range(4)]
    history.add(records, *({one.id: png for one in records} for png in (b"map", b"mask")))
    history.judge(records[1].id, "false_alarm", by="Ada")
    history.judge(records[2].id, "confirmed", by="Ada")
    history.judge(records[2].id, None, by="Ada")  # which is something that was said, too
    prune(database, pictures, limits, NOW)
    for one in (records[0], records[3]):
        with pytest.raises(PictureGone):
            history.map(one.id)
        assert history.mask(one.id) is None
    assert [part for part, has in remaining(history) if has] == ["1", "2"]
    for one in records[1:3]:
        assert pictures.read(one.picture)
        assert pictures.thumbnail(one.picture)
        assert (history.map(one.id), history.mask(one.id)) == (b"map", b"mask")
        assert history.get(one.id).judgements


def test_a_picture_of_two_inspections_leaves_with_the_last(database, history, pictures):
    first, second = (kept(pictures, day, b"the same") for day in (1, 8))
    history.add([first, second])
    prune(database, pictures, Limits(pictures_days=5), NOW)
    assert pictures.read(second.picture) == b"the same"
    prune(database, pictures, Limits(pictures_days=1), NOW)
    with pytest.raises(PictureGone):
        pictures.read(second.picture)


def test_more_than_a_batch_leaves_at_once(database, history, pictures):
    history.add([record(n) for n in range(2 * BATCH + 1)])
    assert prune(database, pictures, Limits(records_days=1), NOW).rows == 2 * BATCH + 1


def test_without_a_place_of_pictures_those_that_have_one_stay(database, history, pictures):
    history.add([kept(pictures, 0), record(time=FIRST, part="bare")])
    limits = Limits(pictures_days=1, records_days=1, pictures_bytes=0)
    assert prune(database, None, limits, NOW) == Pruned(rows=1)
    assert remaining(history) == [("0", True)]


def test_pictures_that_no_inspection_has_leave_where_that_is_asked_for(
    database, history, pictures, tmp_path
):
    had, stray, waits = kept(pictures, 0), kept(pictures, 1), kept(pictures, 2)
    history.add([had])
    for day, one in ((0, had), (1, stray), (9, waits)):  # the last one's row may come yet
        for file in (tmp_path / "pictures").glob(f"{one.picture[:2]}/{one.picture[2:]}*"):
            os.utime(file, ((FIRST + timedelta(days=day)).timestamp(),) * 2)
    (tmp_path / "pictures" / "notes").touch()
    os.utime(tmp_path / "pictures" / "notes", (0, 0))
    assert prune(database, pictures, Limits(pictures_days=1e12), NOW) == Pruned()
    done = prune(database, pictures, Limits(strays_days=5), NOW)
    assert done == Pruned(pictures=1, bytes=SIZE)
    for one in (had, waits):
        assert pictures.read(one.picture)
        assert pictures.thumbnail(one.picture)
    with pytest.raises(PictureGone):
        pictures.read(stray.picture)
    assert (tmp_path / "pictures" / "notes").exists()


def test_a_picture_that_is_gone_already_does_no_harm(database, history, pictures):
    history.add([record(picture="ab" * 32)])
    assert prune(database, pictures, Limits(pictures_days=1), NOW) == Pruned(pictures=1)


def test_one_of_several_gateways_prunes_at_a_time(postgresql, pictures):
    url = postgresql.new_database()
    first, second = Database.open(url), Database.open(url)
    with first.alone() as alone, second.alone() as also:
        assert (alone, also) == (True, False)
        assert prune(second, pictures, Limits(records_days=0), NOW) == Pruned()
    with second.alone() as alone:
        assert alone
    first.close()
    second.close()


def test_what_is_being_marked_at_this_moment_stays(postgresql, pictures):
    database = Database.open(postgresql.new_database())
    history = History(database)
    history.add([record(part="marked"), record(1, part="old")])
    marked = update(inspections).where(inspections.c.part == "marked")
    with database.writing() as connection:
        connection.execute(marked.values(verdict="missed"))
        assert prune(database, pictures, Limits(records_days=1), NOW).rows == 1
    assert [part for part, _ in remaining(history)] == ["marked"]
    database.close()


def test_what_was_said_to_be_a_lesson_stays(database, history, pictures):
    lesson, other = kept(pictures, 0), kept(pictures, 1)
    history.add([lesson, other])
    Lessons(database).decide([lesson.id], "new_product", by="anna")
    prune(database, pictures, Limits(pictures_days=5, pictures_bytes=0, records_days=8), NOW)
    assert remaining(history) == [("0", True)]
