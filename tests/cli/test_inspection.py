import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import grey_image, status
from tests.service.served import served


@pytest.fixture(scope="module")
def url(gauge_repository: Path) -> Iterator[str]:
    with served(gauge_repository) as url:
        yield url


def test_inspect_tells_by_its_exit_status(url, tmp_path, capsys):
    dark, bright = grey_image(tmp_path / "dark.png", 20), grey_image(tmp_path / "bright.png", 200)
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert status("inspect", dark, "--url", url) == 0
    assert status("inspect", dark, bright, "--url", url) == 2
    assert status("inspect", bright, str(tmp_path / "broken.png"), "--url", url) == 1
    assert status("inspect", bright, "--url", url, "--threshold", "1.9") == 0
    assert "bright.png" in capsys.readouterr().out.replace("\n", "")


def test_inspect_tells_of_a_part_by_its_exit_status(url, tmp_path, capsys):
    left, right = grey_image(tmp_path / "left.png", 20), grey_image(tmp_path / "right.png", 30)
    bright = grey_image(tmp_path / "bright.png", 200)
    given = ("--url", url, "--part", "4711", "--views")
    assert status("inspect", left, right, *given, "2") == 0
    assert "part 4711: normal, 2 of 2 views" in capsys.readouterr().out
    assert status("inspect", left, bright, *given, "2") == 2
    assert status("inspect", left, right, *given, "3") == 1
    assert status("inspect", right, *given, "2", "--view", "top", "--line", "named") == 1
    assert status("inspect", left, *given, "2", "--view", "top", "--line", "named") == 1
    assert status("inspect", right, *given, "2", "--view", "side", "--line", "named") == 0
    assert status("inspect", left, right, *given, "2", "--view", "top") == 1
    assert "2 images are more than the one" in capsys.readouterr().err
    assert status("inspect", left, "--url", url, "--views", "2") == 1
    assert "views needs part: give the part that they are of" in capsys.readouterr().err


def test_inspect_writes_what_explains_where_that_is_asked_for(
    trained_repository, product_tree, tmp_path
):
    image = product_tree / "metal" / "train" / "good" / "0000.jpg"
    told = []
    with served(trained_repository) as url:
        for option in ([], ["--explain"]):
            status("inspect", str(image), "--url", url, "--jsonl", str(tmp_path / "found"), *option)
            told.append(json.loads((tmp_path / "found").read_text())["explanation"])
    assert told[0] is None
    assert told[1]["references"][0]["origin"] == "metal/train/good/0000.jpg"


@pytest.mark.parametrize("command", [["inspect"], ["watch", "--jsonl", "found.jsonl"]])
def test_a_threshold_that_no_gateway_takes_is_refused_at_once(command, tmp_path, capsys):
    assert status(*command, str(tmp_path), "--threshold", "nan") == 1
    assert capsys.readouterr().err.startswith("onegauge: threshold nan: ")


def test_a_camera_with_a_name_needs_the_number_of_views(tmp_path, capsys):
    command = ("watch", str(tmp_path), "--jsonl", str(tmp_path / "found"), "--source", "rtsp://a/b")
    assert status(*command, "--trigger", "-", "--view", "left") == 1
    assert "view needs views: give how many the part has" in capsys.readouterr().err


def test_a_camera_needs_its_extra(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("onegauge.camera")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cv2", None)
    command = ("watch", str(tmp_path), "--jsonl", str(tmp_path / "found"), "--source", "rtsp://a/b")
    assert status(*command) == 1
    assert (
        capsys.readouterr().err
        == "onegauge: cv2 is not installed: pip install 'onegauge[camera]'\n"
    )


AS_ON_WINDOWS = """
import asyncio, logging, os, signal, sys, zoneinfo
import cv2, httpx, numpy, prometheus_client, pydantic
import rich.console, rich.progress, rich.table, typer

BLOCKED = {"fcntl", "grp", "posix", "pwd", "resource", "termios", "uvloop"}

class Blocker:
    def find_spec(name, *_):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(name)

for name in BLOCKED:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Blocker)
for name in ("fork", "fchmod", "geteuid", "getuid", "posix_fallocate", "sched_getaffinity"):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "pthread_sigmask"):
    delattr(signal, name)
sys.platform = "win32"

import onegauge.camera.genicam, onegauge.camera.watching, onegauge.client.watch.watch
from onegauge import AsyncClient, Client
from onegauge.cli import main
main(sys.argv[1:])
"""


def test_clients_need_nothing_that_windows_lacks(url, tmp_path):
    image = grey_image(tmp_path / "工位.png", 0)
    found = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS, "inspect", image, "--url", url],
        env=os.environ | {"PYTHONIOENCODING": "cp1252:strict", "COLUMNS": "300"},
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, b"")
    assert rb"\u5de5\u4f4d.png" in found.stdout
    assert b"inspected 1: 1 normal" in found.stdout
