"""A gateway that has some inspections to review."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from onegauge.records.history import History
from onegauge.records.pictures import Pictures
from onegauge.records.previews import small_map, thumbnail
from onegauge.records.record import Record
from rig.pictures import encode
from tests.records.made import record
from tests.service.served import records_of

FORM = {"Origin": "http://testserver"}  # what a browser sends with a form of the page
ANNA = {"by": "Anna"}


@dataclass
class Review:
    """A browser without scripts, and what the gateway remembers."""

    client: TestClient
    history: History
    pictures: Pictures

    def add(self, number: int = 0, **fields: object) -> Record:
        """Remember the `number`-th inspection, with some fields as given."""
        made = record(number, **fields)
        self.history.add([made])
        return made

    def add_seen(self, number: int = 0, picture: bytes = b"", **fields: object) -> Record:
        """One whose picture was kept, with its small copies."""
        data = picture or encode(Image.new("RGB", (96, 64), (40, 40, 40)))
        digest = self.pictures.put(data)
        self.pictures.put_thumbnail(digest, thumbnail(Image.new("RGB", (96, 64))))
        made = record(number, picture=digest, media_type="image/png", preview=True, **fields)
        levels = np.zeros((8, 12), np.float32)
        levels[2, 8:10] = 1.9
        self.history.add([made], {made.id: small_map(levels)})
        return made

    def judge(self, inspection: str, verdict: str, **fields: str) -> str:
        """Send the form of a verdict; the address that follows."""
        response = self.client.post(
            f"/review/{inspection}/verdict",
            data={"verdict": verdict, **ANNA, **fields},
            headers=FORM,
            follow_redirects=False,
        )
        assert response.status_code == 303, response.text
        return response.headers["Location"]


Start = Callable[..., Review]


@pytest.fixture
def start(gateway, tmp_path: Path) -> Start:
    """Starts a gateway that keeps records, with the given settings."""

    def started(**settings: object) -> Review:
        client = gateway(records=f"sqlite:///{tmp_path}/records.db", **settings)
        records = records_of(client)
        return Review(client, records.history, records.pictures)

    return started


@pytest.fixture
def review(start: Start) -> Review:
    return start()
