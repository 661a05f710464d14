"""What the gateway is measured beside decides as it does."""

import json
from pathlib import Path

import httpx
import pytest

from bench.support.servers import Served, server

SAMPLES = Path(__file__).parents[2] / "docs" / "samples"


@pytest.mark.parametrize("name", ["plain", "onegauge"])
def test_a_server_that_is_measured_finds_the_defect_of_a_sample(name):
    with server(name, Served()) as running:
        picture = (SAMPLES / "ring-chip.jpg").read_bytes()
        answer = httpx.post(f"{running.url}/inspect", files={"image": picture}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert '"decision":"anomalous"' in json.dumps(answer.json(), separators=(",", ":"))
