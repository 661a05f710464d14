from datetime import UTC

import pytest

from onegauge.records.database import Database
from onegauge.records.history import History
from onegauge.service.review.desk import VIEWS, lay_out
from onegauge.service.review.search import Search
from tests.records.made import decided, record


@pytest.fixture
def history(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/records.db")
    yield History(database)
    database.close()


def add(history: History, count: int, **fields: object) -> list[str]:
    """Ids of so many inspections, the newest first."""
    made = [record(number, **fields) for number in range(count)]
    history.add(made)
    return [one.id for one in reversed(made)]


def test_an_address_has_the_page_of_the_list_that_it_is_on(history):
    ids = add(history, 55)
    desk = lay_out(history, Search(line="press"), UTC, ids[49])
    assert (desk.previous, desk.next) == (ids[48], ids[50])
    assert desk.address(ids[48]) == f"/review/{ids[48]}?line=press"
    assert desk.address(ids[50]) == f"/review/{ids[50]}?line=press&after={desk.page.next}"
    later = lay_out(history, Search(line="press", after=desk.page.next), UTC, ids[50])
    assert later.address(ids[51]).endswith(f"&after={desk.page.next}")
    assert later.address(ids[49]) == f"/review/{ids[49]}?line=press"


def test_a_view_that_another_stands_for_keeps_the_page_of_the_list(history):
    later = [record(100 + number) for number in range(52)]
    views = [record(number, part="4711", score=number) for number in range(3)]
    history.add([*views, decided(views), *later])
    first = lay_out(history, Search(), UTC, None)
    desk = lay_out(history, Search(after=first.page.next), UTC, views[2].id)
    assert desk.address(views[0].id).endswith(f"?after={first.page.next}")
    assert lay_out(history, Search(), UTC, views[0].id).current is None


def test_what_was_judged_keeps_its_place_though_it_left_the_list(history):
    ids = add(history, 3)
    history.judge(ids[1], "confirmed", by="Anna")
    desk = lay_out(history, Search(verdict="none"), UTC, ids[1])
    assert [found.record.id for found in desk.page.found] == [ids[0], ids[2]]
    assert (desk.previous, desk.next) == (ids[0], ids[2])


def test_the_next_picture_is_fetched_in_advance_if_there_is_one(history):
    seen, bare = record(0, picture="ab" * 32), record(1)
    history.add([seen, bare])
    assert lay_out(history, Search(), UTC, bare.id).ahead == seen.id
    assert lay_out(history, Search(order="nearest"), UTC, seen.id).ahead is None


def test_views_are_of_the_part_alone_and_not_too_many(history):
    ids = add(history, VIEWS + 5, part="4711")
    history.add([record(99, part="4712"), bare := record(100, part=None)])
    views = lay_out(history, Search(), UTC, ids[0]).views
    assert [view.record.id for view in views] == ids[1 : VIEWS + 1]
    assert lay_out(history, Search(), UTC, bare.id).views == ()


def test_a_list_of_nothing_shows_nothing(history):
    desk = lay_out(history, Search(), UTC, None)
    assert (desk.entry, desk.page.found, desk.further, desk.ahead) == (None, [], None, None)
