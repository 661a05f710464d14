"""Pictures that were kept, and what lines asked of them."""

from pathlib import Path

import pytest

from onegauge.records.database import Database
from onegauge.records.history import History
from onegauge.records.pictures import Pictures


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    return Pictures(tmp_path / "pictures")


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(Database.open(f"sqlite:///{tmp_path}/records.db"))
