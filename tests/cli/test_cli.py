import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import commands, status

ROOT = Path(__file__).parents[2]
COMMANDS = commands()
WITHOUT = """
import sys

class Absent:
    def find_spec(name, *_):
        if name == {!r}:
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Absent)
from onegauge.cli import main
main()
"""


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
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    hint = f"onegauge: {module} is not installed: pip install 'onegauge[cpu,train]'\n"
    assert told.stderr == hint


@pytest.mark.parametrize("arguments", [["inspect"], ["measure"], ["inspect", "x", "--unknown"]])
def test_misuse_is_an_error_and_not_an_anomaly(arguments, capsys):
    assert status(*arguments) == 1
    assert "Usage" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert status(*command.split(), "--help") == 0
    assert f"{command} [OPTIONS]" in capsys.readouterr().out


def test_a_package_is_imported_only_by_its_command():
    code = (
        "import sys, onegauge.cli\n"
        "others = {'asyncio', 'httpx', 'numpy', 'pydantic', 'torch'}\n"
        "ours = {name for name in sys.modules if name.startswith('onegauge.')}\n"
        "ours = {name for name in ours if not name.startswith('onegauge.cli')}\n"
        "loaded = others & set(sys.modules) | ours\n"
        "sys.exit(f'imported: {loaded}' if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_ctrl_c_while_the_command_line_is_imported_is_quiet():
    code = (
        "import os, signal, sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from onegauge.__main__ import main\n"
        "main()"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "")


@pytest.mark.parametrize("command", ["serve", "train", "evaluate", "export", "publish"])
def test_what_does_not_run_on_windows_says_so(command, monkeypatch, capsys):
    status("serve", "--help")  # imports what goes by the platform
    monkeypatch.setattr("sys.platform", "win32")
    assert status(command) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"onegauge: {command} needs Linux or macOS")
    assert error.count("\n") == 1
