"""Each test of records runs on a SQLite file and on a PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onegauge.records.database import Database
from onegauge.records.history import History


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records/records.db"
    server: Any = request.getfixturevalue("postgresql")
    made: str = server.new_database()
    return made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    yield opened
    opened.close()


@pytest.fixture
def history(database: Database) -> History:
    return History(database)
