from pathlib import Path

import pytest

from onegauge.client.watch.watch import Station
from onegauge.schemas import Options


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """Its camera's folder is empty."""
    (tmp_path / "camera").mkdir()
    return Station(tmp_path / "camera", tmp_path / "found.jsonl", Options(), tmp_path / "rejects")
