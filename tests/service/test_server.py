import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.errors import ContractError
from service.server import serve
from service.settings import Settings

ROOT = Path(__file__).parents[2]


def test_serves_says_how_to_use_it_and_stops_when_told(gauge_repository, normal):
    settings = {"ONEGAUGE_REPOSITORY": str(gauge_repository), "ONEGAUGE_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "service"],
        env={**os.environ, **settings, "ONEGAUGE_LOG_FORMAT": "json"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            welcome = [process.stdout.readline().strip() for _ in range(5)]
            url = welcome[1].removeprefix("onegauge listens on ")
            answer = httpx.post(f"{url}/inspect", files=[("image", normal)])
        finally:
            process.terminate()
        _, log = process.communicate(timeout=20)
    assert answer.json()["results"][0]["decision"] == "normal"
    assert f"{url}/inspect" in welcome[3]
    assert f"{url}/docs" in welcome[4]
    assert answer.headers["X-Request-Id"] in log
    assert "Traceback" not in log


def test_model_that_cannot_be_loaded_stops_it_before_it_listens(tmp_path):
    with pytest.raises(ContractError, match=str(tmp_path)):
        serve(Settings(repository=tmp_path))
