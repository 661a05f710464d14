"""What the documentation shows exists: commands, options, links, answers, constants."""

import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from prometheus_client import generate_latest
from pydantic.fields import FieldInfo

from demo.products import __main__ as products
from onegauge.camera.metrics import Metrics as CameraMetrics
from onegauge.camera.quality import DETAILS
from onegauge.records.tables import inspections
from onegauge.schemas import Answer, Decision, Options, Search
from onegauge.service.observe.metrics import Metrics
from onegauge.service.sinks.modbus.registers import BITS, REGISTERS, TRIGGER, TRIGGER_PART
from onegauge.service.sinks.opcua.nodes import NODES
from onegauge.service.sinks.settings import DeliverySettings
from onegauge.service.sinks.table import KINDS, read_sinks
from onegauge.training.backbones import efficientnet_lite
from tests.cli.command import commands

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = commands()
HOMES = {
    "train": "training",
    "evaluate": "training",
    "report": "training",
    "benchmark": "training",
    "export": "training",
    "serve": "settings",
    "inspect": "api",
    "key": "operations",
    "publish": "operations",
    "rollback": "operations",
    "watch": "clients",
    "add": "teaching",
    "remove": "teaching",
    "references": "teaching",
    "recalibrate": "teaching",
    "suspects": "teaching",
    "records export": "records",
    "records find": "records",
    "records judge": "records",
    "records prune": "records",
    "records replay": "records",
    "records stats": "records",
}
TAKEN = {  # by paths that pages ask, in a query
    "/inspect|/v1/inspect": Options.model_fields,
    "/v1/inspections": Search.model_fields,
    "/v1/inspections/[0-9a-f]{32}/verdict": {},
    "/v1/criterion": {},
    "/v1/proposals(/[0-9]+(/state)?)?": {},
    "/v1/sinks(/[a-z0-9-]+)?": {},
}
SINKS = {  # sections of the kinds
    "mqtt": "MQTT",
    "webhook": "Webhook",
    "opcua": "OPC UA",
    "modbus": "Modbus TCP",
}
MODULES = {
    "onegauge.training.backbones.efficientnet_lite": efficientnet_lite._parser,
    "demo.products": products.parser,
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def shown(program: str) -> list[list[str]]:
    """Arguments of every call of `program` in the shell blocks, without settings before it."""
    lines = "\n".join(block for page in PAGES for block in blocks(page, "sh"))
    bare = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", lines.replace("\\\n", " "), flags=re.MULTILINE)
    calls = [shlex.split(line, comments=True) for line in bare.splitlines()]
    return [call[1:] for call in calls if call[:1] == [program]]


def sections(page: Path) -> dict[str, str]:
    """Text below each second-level heading."""
    parts = re.split(r"^## (.+)\n", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_make_targets_exist():
    text = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"serve", "test"} <= named <= targets


@pytest.mark.parametrize("arguments", shown("onegauge"), ids=" ".join)
def test_shown_commands_are_accepted(arguments):
    name = next(n for n in (" ".join(arguments[:2]), arguments[0]) if n in COMMANDS)
    COMMANDS[name].make_context(name, arguments[len(name.split()) :])


def test_every_command_is_shown_in_the_readme():
    text, names = (ROOT / "README.md").read_text(), {name.split()[0] for name in COMMANDS}
    assert {name for name in names if f"onegauge {name} " in text} == names


@pytest.mark.parametrize("arguments", shown("python"), ids=" ".join)
def test_shown_modules_are_accepted(arguments):
    assert arguments[0] == "-m"
    MODULES[arguments[1]]().parse_args(arguments[2:])


def documented(page: str, section: str) -> dict[str, str]:
    """Options and their defaults in the table of a section."""
    text = sections(ROOT / "docs" / page)[section]
    return dict(re.findall(r"^\| `(--[\w-]+)` \| (.+?) \|", text, re.MULTILINE))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented_with_its_default(name):
    options = [p for p in COMMANDS[name].params if p.param_type_name == "option"]
    expected = {o.opts[0]: _default(o.default, required=o.required) for o in options}
    assert documented(f"{HOMES[name]}.md", f"onegauge {name}") == expected


def test_every_option_that_converts_weights_is_documented():
    actions = [a for a in efficientnet_lite._parser()._actions if a.dest != "help"]
    expected = {a.option_strings[0]: _default(a.default, required=a.required) for a in actions}
    assert documented("training.md", "Backbones without a network") == expected


def _default(value: object, *, required: bool) -> str:
    if required:
        return "required"
    words = {None: "none", False: "off"}
    return next((word for key, word in words.items() if value is key), f"`{value}`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_pages_name_exist(page):
    rooms = "bench|demo|docker|docs|export|onegauge|rig|service|tests|training"
    for path in re.findall(rf"`((?:{rooms})/[\w./-]*)`", page.read_text()):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_alerts_that_pages_name_exist(page):
    rules = (ROOT / "docker" / "prometheus" / "alerts.yml").read_text()
    alerts = set(re.findall(r"alert: (\w+)", rules))
    assert set(re.findall(r"`(Onegauge\w+)`", page.read_text())) <= alerts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_metrics_that_pages_name_exist(page):
    told = Metrics().exposition().decode() + generate_latest(CameraMetrics().registry).decode()
    metrics = set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE))
    parameters = {"onegauge_version"}  # of a model
    if page.name != "CHANGELOG.md":  # which tells of what there was
        assert set(re.findall(r"`(onegauge_\w+)`", page.read_text())) <= metrics | parameters


def test_metrics_of_cameras_are_documented():
    told = generate_latest(CameraMetrics().registry).decode()
    metrics = set(re.findall(r"^# TYPE (\w+)(?<!_created) ", told, re.MULTILINE))
    text = sections(ROOT / "docs" / "cameras.md")["Metrics"]
    assert set(re.findall(r"`(onegauge_\w+)`", text)) == metrics


def test_problems_of_frames_are_documented():
    text = sections(ROOT / "docs" / "cameras.md")["Which frames are inspected"]
    assert set(re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE)) == DETAILS.keys()


def test_panels_that_troubleshooting_names_exist():
    files = (ROOT / "docker" / "grafana" / "dashboards").glob("*.json")
    panels = {p["title"] for file in files for p in json.loads(file.read_text())["panels"]}
    text = "".join(sections(ROOT / "docs" / "troubleshooting.md").values())
    named = set(re.findall(r"\*([A-Z][^*|]+)\*", text))
    assert named
    assert named <= panels


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_in_pages_parses(page):
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")
    for block in blocks(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_answers_in_pages_are_what_the_gateway_sends(page):
    (answer,) = (json.loads(block) for block in blocks(ROOT / page, "json"))
    read = Answer.model_validate(answer)
    decided = [r for r in answer["results"] if "decision" in r]
    assert decided
    assert all(set(result) == set(Decision.model_fields) for result in decided)
    assert read.model_dump(mode="json") == answer


def test_columns_of_records_are_explained():
    text = sections(ROOT / "docs" / "records.md")["What is kept of an image"]
    told = [
        name for names in re.findall(r"^\| (`.+?) \|", text, re.M) for name in names.split(", ")
    ]
    assert sorted(told) == sorted(f"`{name}`" for name in inspections.columns.keys())  # noqa: SIM118


def settings_in(section: str) -> dict[str, str]:
    """Keys of sinks and their defaults in the tables of a section."""
    text = sections(ROOT / "docs" / "integration.md")[section]
    return dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", text, re.MULTILINE))


def defaults_of(fields: dict[str, FieldInfo]) -> dict[str, str]:
    """Fields of settings, and their defaults as TOML would have them."""
    words = {None: "none", True: "`true`", False: "`false`"}
    return {
        name: "required" if f.is_required() else words.get(f.default, f"`{f.default}`")
        for name, f in fields.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_of_a_sink_is_documented_with_its_default(kind):
    common = settings_in("What holds for all sinks")
    assert common == defaults_of(DeliverySettings.model_fields) | {"lines": "all"}
    own = KINDS[kind].model_fields.keys() - DeliverySettings.model_fields.keys()
    fields = {name: field for name, field in KINDS[kind].model_fields.items() if name in own}
    assert settings_in(SINKS[kind]) == defaults_of(fields)


def test_registers_and_nodes_are_those_of_the_code():
    text = sections(ROOT / "docs" / "integration.md")["What controllers see"]
    rows = re.findall(r"^\| (\S+) \| `(\w+)` \| (\S+) \| (\S+) \|", text, re.MULTILINE)
    registers = {r.name: (str(r.offset), r.kind) for r in (*REGISTERS, TRIGGER, TRIGGER_PART)}
    assert {name: (at, kind) for at, name, kind, _ in rows if at != "–"} == registers
    nodes = {name: kind.name for name, kind in NODES.items()}
    assert {name: kind for _, name, _, kind in rows if kind != "–"} == nodes
    bits = sections(ROOT / "docs" / "integration.md")["Modbus TCP"]
    assert re.findall(r"^\| (\d) \| `(\w+)` \|", bits, re.MULTILINE) == [
        (str(at), name) for at, name in enumerate(BITS)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sinks_that_pages_show_make_sense(page, tmp_path):
    for block in blocks(page, "toml"):
        (tmp_path / "sinks.toml").write_text(block)
        assert read_sinks(tmp_path / "sinks.toml")


def test_curl_calls_use_real_options():
    for arguments in shown("curl"):
        (url,) = (urlsplit(word) for word in arguments if "://" in word)
        (taken,) = (fields for path, fields in TAKEN.items() if re.fullmatch(path, url.path))
        assert set(parse_qs(url.query)) <= set(taken)


def test_samples_that_the_readme_sends_exist():
    files = re.findall(r"docs/samples/[\w-]+\.jpg", (ROOT / "README.md").read_text())
    assert files
    assert all((ROOT / file).is_file() for file in files)


def test_constants_of_the_method_are_those_of_the_code():
    page = (ROOT / "docs" / "method.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)\.([A-Z]+(?:_[A-Z]+)*)` \| `(.+?)` \|", page, re.MULTILINE)
    assert rows
    for module, name, value in rows:
        package = "onegauge" if module.startswith("library.") else "onegauge.training"
        assert str(getattr(import_module(f"{package}.{module}"), name)) == value, name


@pytest.mark.parametrize(
    "arguments",
    [("docs/picture.py", "model_repository", "picture.jpg"), ("docs/mixture.py", "picture.png")],
    ids=lambda arguments: arguments[0],
)
def test_pictures_can_be_drawn_again(arguments, tmp_path):
    *command, name = arguments
    subprocess.run([sys.executable, *command, str(tmp_path / name)], cwd=ROOT, check=True)
    with Image.open(tmp_path / name) as picture:
        assert min(picture.size) > 200
