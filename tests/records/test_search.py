"""Lists are read from indexes that hold what they are chosen by, not from all rows."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql

from onegauge.records.database import Database
from onegauge.records.search import Filter, Order, ids
from tests.records.made import FIRST

DAY = Filter(since=FIRST, until=FIRST + timedelta(days=1))


@pytest.mark.parametrize(
    ("which", "order", "index"),
    [
        (Filter(), "newest", "newest"),
        (DAY, "newest", "newest"),
        (Filter(line="press"), "newest", "line"),
        (Filter(part="4711"), "newest", "part"),
        (Filter(verdict="missed"), "newest", "verdict"),
        (Filter(verdict="none", decision="anomalous", line="press"), "newest", "newest"),
        (Filter(min_score=3.0, model="onegauge", version="1"), "newest", "newest"),
        (Filter(), "nearest", "nearest"),
        (Filter(line="press", unknown=True), "nearest", "nearest"),
        (Filter(verdict="none", max_score=3.0), "nearest", "nearest"),
    ],
    ids=str,
)
def test_sqlite_looks_into_an_index_alone(tmp_path, which: Filter, order: Order, index: str):
    (step,) = steps(tmp_path, which, order)  # a second one would sort
    assert f"COVERING INDEX inspections_{index}" in step


def test_sqlite_finds_what_a_model_decided_for_a_rare_line_by_the_line(tmp_path):
    (step,) = steps(tmp_path, Filter(line="press", model="onegauge"), "newest")
    assert "INDEX inspections_line" in step


def steps(folder: Path, which: Filter, order: Order) -> list[str]:
    """How SQLite goes about finding them."""
    database = Database.open(f"sqlite:///{folder}/records.db")
    with database.reading() as connection:
        query = ids(which, order).limit(50).compile(connection)
        values = tuple(query.params[name] for name in query.positiontup)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
    database.close()
    return [row.detail for row in plan]


def test_postgresql_chooses_by_itself():
    query = ids(Filter(line="press"), "nearest").compile(dialect=postgresql.dialect())
    assert "INDEXED" not in str(query)
