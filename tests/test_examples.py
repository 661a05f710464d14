"""The examples of the documentation, run against a gateway with the bundled model."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.service.served import served

ROOT = Path(__file__).parents[1]
EXAMPLES, SAMPLES = ROOT / "docs" / "examples", ROOT / "docs" / "samples"
GOOD, BAD = SAMPLES / "board-normal.jpg", SAMPLES / "ring-chip.jpg"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(ROOT / "model_repository") as url:
        yield url


def run(*command: object) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(
        words, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )


def station(picture: Path, url: str) -> int:
    return run(sys.executable, EXAMPLES / "station.py", picture, url, "press-3").returncode


def test_station_tells_a_plc(url, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "unknown.png")
    (tmp_path / "text.jpg").write_bytes(b"no image")
    assert station(GOOD, url) == 0
    assert station(BAD, url) == 1
    assert station(tmp_path / "unknown.png", url) == 2
    assert station(tmp_path / "text.jpg", url) == 3
    assert station(tmp_path / "absent.jpg", url) == 3
    assert station(GOOD, "http://127.0.0.1:9") == 3


def test_curl_is_enough(url):
    for picture, decision in ((GOOD, "normal"), (BAD, "anomalous")):
        done = run(EXAMPLES / "inspect.sh", picture, url)
        assert done.stdout.strip() == decision, done.stderr


def test_java_is_enough(url):
    if shutil.which("java") is None:
        pytest.skip("no JDK is installed")
    for picture, decision in ((GOOD, "normal"), (BAD, "anomalous")):
        done = run("java", EXAMPLES / "Inspect.java", picture, url)
        assert done.stdout.strip() == decision, done.stderr
