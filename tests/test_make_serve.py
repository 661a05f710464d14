"""`make serve` in a fresh copy of the project: from nothing to an answer, without torch."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
NOT_COPIED = (".git", ".venv*", ".cache", ".*_cache", "__pycache__", "runs", "build", "dist")
TRAINING_ONLY = ("torch", "timm", "sklearn")


def environment() -> dict[str, str]:
    """This process's, without what the caller's settings or a `make` around the tests put there."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ONEGAUGE_", "MAKE"))}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files in a folder without any environment."""
    folder = tmp_path_factory.mktemp("fresh") / "onegauge"
    return shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))


@pytest.fixture(scope="module")
def url(checkout: Path) -> Iterator[str]:
    """The address that `make serve` prints, with that of the page for reviews."""
    with subprocess.Popen(
        ["make", "serve", f"PYTHON={sys.executable}"],
        cwd=checkout,
        env=environment() | {"ONEGAUGE_PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            printed = ""
            while not (found := re.search(r"Review +(http://\S+)/review\n", printed)):
                line = process.stdout.readline()
                assert line, f"make serve ended:\n{printed}"
                printed += line
            yield found[1]
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=60)


def test_the_samples_are_decided_as_their_names_say(url):
    samples = sorted((ROOT / "docs" / "samples").glob("*.jpg"))
    files = [("image", (sample.name, sample.read_bytes())) for sample in samples]
    answer = httpx.post(f"{url}/inspect", files=files, timeout=60).json()
    decisions = {result["filename"]: result["decision"] for result in answer["results"]}
    named = {s.name: "normal" if s.stem.endswith("-normal") else "anomalous" for s in samples}
    assert named
    assert decisions == named


def test_what_was_inspected_is_remembered(url, checkout):
    sample = (ROOT / "docs" / "samples" / "ring-chip.jpg").read_bytes()
    sent = {"files": {"image": sample}, "params": {"line": "press", "part": "4711"}}
    (result,) = httpx.post(f"{url}/inspect", timeout=60, **sent).json()["results"]
    found = httpx.get(f"{url}/v1/inspections", params={"part": "4711"}).json()["inspections"]
    assert [(row["id"], row["line"]) for row in found] == [(result["inspection"], "press")]
    assert httpx.get(f"{url}/v1/inspections/{found[0]['id']}/overlay").is_success
    assert (checkout / "runs" / "records" / "records.db").is_file()


def test_the_environment_holds_the_gateway_alone(url, checkout):  # noqa: ARG001
    code = "import sys, importlib.util as u; print(*filter(u.find_spec, sys.argv[1:]))"
    python = checkout / ".venv" / "bin" / "python"
    found = subprocess.run(
        [python, "-c", code, *TRAINING_ONLY], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []


def test_nothing_is_installed_a_second_time_until_the_dependencies_change(url, checkout):  # noqa: ARG001
    def up_to_date() -> bool:
        ask = ["make", "--question", ".venv/installed", f"PYTHON={sys.executable}"]
        return subprocess.run(ask, cwd=checkout, env=environment(), check=False).returncode == 0

    assert up_to_date()
    (checkout / "pyproject.toml").touch()
    assert not up_to_date()
