import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

import onegauge
from onegauge.cli import main

ROOT = Path(onegauge.__file__).parents[1]
COMMANDS = ("train", "evaluate", "report", "benchmark", "export", "serve", "inspect")


@contextmanager
def serving(repository: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`onegauge serve` as a process, and the address that it prints once it listens."""
    command = [sys.executable, "-m", "onegauge", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--repository", str(repository)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            for line in process.stdout:
                if found := re.search(r"listens on (http://\S+)", line):
                    yield process, found[1]
                    break
            else:
                raise AssertionError(process.stderr.read())
        finally:
            process.terminate()
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def url(gauge_repository: Path) -> Iterator[str]:
    with serving(gauge_repository) as (_, url):
        yield url


def status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code or 0


def grey_image(file: Path, grey: int) -> str:
    Image.new("L", (48, 32), grey).save(file)
    return str(file)


@pytest.mark.parametrize("package", ["onegauge", "training"])
def test_it_runs_as_a_module(package):
    run = subprocess.run(
        [sys.executable, "-m", package, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage" in run.stdout


def test_serve_answers_and_ends_quietly_on_ctrl_c(gauge_repository):
    with serving(gauge_repository) as (process, url):
        assert httpx.get(f"{url}/readyz").status_code == 200
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in log


def test_inspect_tells_by_its_exit_status(url, tmp_path, capsys):
    dark, bright = grey_image(tmp_path / "dark.png", 20), grey_image(tmp_path / "bright.png", 200)
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert status("inspect", dark, "--url", url) == 0
    assert status("inspect", dark, bright, "--url", url) == 2
    assert status("inspect", bright, str(tmp_path / "broken.png"), "--url", url) == 1
    assert status("inspect", bright, "--url", url, "--threshold", "1.9") == 0
    assert "bright.png" in capsys.readouterr().out.replace("\n", "")


def test_errors_are_one_line_that_names_what_is_wrong(tmp_path, monkeypatch, capsys):
    absent = str(tmp_path / "absent")
    assert status("inspect", absent) == 1
    assert capsys.readouterr().err == f"onegauge: {absent}: no such file or folder\n"
    assert status("serve", "--repository", absent) == 1
    assert re.fullmatch(rf"onegauge: .*{absent}.*\n", capsys.readouterr().err)
    monkeypatch.setenv("ONEGAUGE_MAX_IMAGES", "many")
    assert status("serve") == 1
    assert re.fullmatch(r"onegauge: settings: max_images .*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("torch", ["train", "--data", "parts", "--out", "run"]),
        ("torch", ["evaluate", "run", "--data", "parts"]),
        ("onnx", ["export", "run", "--repository", "models", "--name", "parts"]),
    ],
)
def test_what_is_not_installed_is_told_with_the_extra_that_brings_it(module, arguments):
    code = f"import sys; sys.modules[{module!r}] = None; import onegauge; main()"
    told = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    hint = f"onegauge: {module} is not installed: pip install 'onegauge[cpu,train]'\n"
    assert told.stderr == hint


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capsys):
    for number in range(10):
        grey_image(tmp_path / f"{number}.png", 25 * number)
    (tmp_path / "notes").write_text("mine")
    out = str(tmp_path / "notes" / "run")
    assert status("train", "--data", str(tmp_path), "--out", out, "--device", "cpu") == 1
    assert re.fullmatch(rf"onegauge: .*{out}.*\n", capsys.readouterr().err)


def test_a_dry_run_tells_what_is_taken_and_writes_nothing(tmp_path, capsys):
    data = tmp_path / "parts"
    for name in ("good", "NG", "odd", "test/good"):
        (data / name).mkdir(parents=True)
        grey_image(data / name / "1.png", 50)
    train = ["train", "--data", str(data), "--out", str(tmp_path / "run"), "--dry-run"]
    assert status(*train) == 1
    told = capsys.readouterr()
    assert re.search(r"undecided +1  beside good: odd \(1\)", told.out)
    assert re.fullmatch(r"onegauge: undecided .*--include '/odd'.*--exclude.*\n", told.err)
    assert status(*train, "--include", "NG", "--exclude", "odd", "--exclude", "test") == 0
    assert re.search(r"taken +2  for training: NG \(1\), good \(1\)", capsys.readouterr().out)
    evaluate = ["evaluate", "run", "--data", str(data), "--dry-run"]
    assert status(*evaluate) == 0
    assert status(*evaluate, "--include", "NG") == 0
    without, included = capsys.readouterr().out.split(f"{data}: ")[1:]
    assert "anomalous" not in without
    assert re.search(r"taken +1  anomalous: NG \(1\)", included)
    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.parametrize("arguments", [["inspect"], ["measure"], ["inspect", "x", "--unknown"]])
def test_misuse_is_an_error_and_not_an_anomaly(arguments, capsys):
    assert status(*arguments) == 1
    assert "Usage" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert status(command, "--help") == 0
    assert f"{command} [OPTIONS]" in capsys.readouterr().out


def test_a_package_is_imported_only_by_its_command():
    code = (
        "import sys, onegauge.cli\n"
        "ours = {f'onegauge.{name}' for name in ('client', 'service', 'training', 'export')}\n"
        "loaded = (ours | {'torch', 'numpy'}) & set(sys.modules)\n"
        "sys.exit(f'imported: {loaded}' if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("command", ["serve", "train", "evaluate", "export", "publish"])
def test_what_does_not_run_on_windows_says_so(command, monkeypatch, capsys):
    status("serve", "--help")  # imports what goes by the platform
    monkeypatch.setattr("sys.platform", "win32")
    assert status(command) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"onegauge: {command} needs Linux or macOS")
    assert error.count("\n") == 1


AS_ON_WINDOWS = """
import asyncio, logging, os, signal, sys, zoneinfo
import httpx, numpy, pydantic, rich.console, rich.progress, rich.table, typer

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

import onegauge.client.watch.watch
from onegauge import AsyncClient, Client
from onegauge.cli import main
main(sys.argv[1:])
"""


def test_clients_need_nothing_that_windows_lacks(url, tmp_path):
    image = grey_image(tmp_path / "工位.png", 0)
    found = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS, "inspect", image, "--url", url],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "cp1252:strict", "COLUMNS": "300"},
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, b"")
    assert rb"\u5de5\u4f4d.png" in found.stdout
    assert b"inspected 1: 1 normal" in found.stdout
