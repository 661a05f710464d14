"""What commands, configurations, settings and documents state more than once is the same."""

import re
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import get_args

import pytest

from onegauge.camera.quality import Bounds
from onegauge.cli import options
from onegauge.export.export_run import Flavour
from onegauge.export.precision import Precision
from onegauge.export.publish import TritonBackend
from onegauge.service.settings import Settings
from onegauge.training.config import TrainConfig
from onegauge.training.detectors import DETECTORS
from onegauge.training.evaluation.run import Question
from onegauge.training.gauge.alignments import ALIGNMENTS
from tests.cli.command import commands

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = commands()
OF_CLIENTS_AND_TESTS = {"ONEGAUGE_API_KEY", "ONEGAUGE_CAMERA", "ONEGAUGE_TEST_CACHE"}


def defaults(command: str) -> dict[str, object]:
    """Of each option by its name; MISSING of one that must be given."""
    found = (p for p in COMMANDS[command].params if p.param_type_name == "option")
    return {o.name: MISSING if o.required else o.default for o in found}


@pytest.mark.parametrize(("command", "made"), [("train", TrainConfig), ("export", Flavour)])
def test_a_command_has_the_fields_of_what_it_makes_and_their_defaults(command, made):
    own = {field.name: None if field.default == () else field.default for field in fields(made)}
    assert defaults(command).items() >= own.items()


@pytest.mark.parametrize(
    ("command", "made", "otherwise"),
    [
        ("benchmark", TrainConfig, {"false_alarm_rate"}),  # both that are measured can be promised
        ("evaluate", Question, set()),
        ("report", Question, set()),
    ],
)
def test_other_commands_have_some_of_the_fields(command, made, otherwise):
    own = {field.name: None if field.default == () else field.default for field in fields(made)}
    given = defaults(command)
    shared = (own.keys() & given.keys()) - otherwise
    assert "device" in shared
    assert {name: given[name] for name in shared} == {name: own[name] for name in shared}


def test_choices_are_those_that_there_are():
    assert get_args(options.DetectorName) == tuple(DETECTORS)
    assert set(get_args(options.Alignment)) <= set(ALIGNMENTS)
    assert options.Precision == Precision
    assert options.TritonBackend == TritonBackend


def test_options_of_serve_are_settings():
    for option in (p for p in COMMANDS["serve"].params if p.name != "help"):
        assert option.name in Settings.model_fields
        assert re.match(rf"ONEGAUGE_{option.name.upper()}\b", option.help)


def test_bounds_of_frames_are_those_of_the_gate():
    assert defaults("watch").items() >= asdict(Bounds()).items()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_variables_in_pages_are_read_by_something(page):
    settings = {f"ONEGAUGE_{name.upper()}" for name in Settings.model_fields}
    compose = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    named = set(re.findall(r"\bONEGAUGE_[A-Z_]*[A-Z]\b", page.read_text()))
    assert named <= settings | compose | OF_CLIENTS_AND_TESTS


def test_variables_of_docker_compose_are_explained():
    read = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    explained = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert explained == read
