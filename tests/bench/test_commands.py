"""Every benchmark is a command that is listed and explains itself."""

from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import bench

COMMANDS = sorted(file.stem for file in Path(bench.__file__).parent.glob("[!_]*.py"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_is_listed_and_explains_itself(name):
    module = import_module(f"bench.{name}")
    app = getattr(module, "app", None) or typer.Typer()
    if not app.registered_commands:
        app.command()(module.main)
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0, shown.output
    assert f"\n    {name} " in bench.__doc__
    assert f"python -m bench.{name}" in module.__doc__
