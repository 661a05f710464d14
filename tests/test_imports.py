"""What may import what, of the whole tree."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the ground: a room imports from the floors below it, and from none beside it.
FLOORS = (
    {"cores", "files", "pauses", "schemas"},
    {"cluster"},
    {"client", "records", "service.errors"},
    {"camera", "service.imaging", "service.settings", "service.threads"},
    {"service.model", "library"},
    {"service.observe"},
    {"service.inspection"},
    {"bulk", "service.outbox"},
    {"service.recording", "service.sinks"},
    {"service.teaching"},
    {"service.http"},
    {"service.review"},
    {"service.app"},
    {"service.server"},
    {"service.start"},
    {"training.errors"},
    {"training.choice", "training.distributed", "training.groups", "training.workers"},
    {"training.progress", "training.ray_workers"},
    {"training.config"},
    {"training.resume"},
    {"training.backbones"},
    {"training.data"},
    {"training.detectors"},
    {"training.gauge"},
    {"training.checkpoint"},
    {"training.train"},
    {"training.evaluation"},
    {"training.benchmark", "training.report"},
    {"export"},
    {"teach"},
    {"cli"},
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
GROUND = {"cores", "files", "pauses", "schemas"}
READING = {"service.errors", "service.imaging"}  # images as the gateway reads them
# Of what lies below, what a part of the house may use at all
MAY_USE = {
    "bulk": GROUND
    | READING
    | {"bulk", "client", "cluster", "service.inspection", "service.model", "service.settings"},
    "camera": GROUND | {"client"},
    "client": GROUND,
    "library": {"library"},
    "records": GROUND,
    "service": GROUND | {"library", "records", "service"},
    "training": GROUND | READING | {"cluster", "library", "training"},
    "training.evaluation": GROUND | READING | {"library", "training", "client", "service.model"},
    "export": GROUND | READING | {"export", "library", "training", "service.model"},
    "teach": GROUND | READING | {"export", "library", "teach", "training", "service.model"},
}
WITHOUT_TORCH = tuple(
    f"onegauge.{package}"
    for package in ("bulk", "camera", "cli", "client", "library", "records", "service")
)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the wheel: its name and its file."""
    for package in ("onegauge", "service", "training", "export"):  # links are not followed
        for file in (ROOT / package).rglob("*.py"):
            parts = file.relative_to(ROOT / "onegauge" if package == "onegauge" else ROOT).parts
            yield ".".join(("onegauge", *parts)).removesuffix(".py").removesuffix(".__init__"), file


MODULES = dict(modules())


def imports(file: Path, *, at_once: bool = False) -> Iterator[str]:
    """Modules that a file imports: anywhere in it, or `at_once`, when it is imported itself."""
    tree = ast.parse(file.read_text())
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in MODULES else node.module


def room_of(module: str) -> str:
    _, *parts = module.split(".")
    if parts[-1:] == ["__main__"]:
        return "cli"
    return ".".join(parts[: 2 if parts[:1] in (["service"], ["training"]) else 1])


def ours() -> Iterator[tuple[str, str, str, str]]:
    """Each import between two rooms: the module and its room, what it imports and its room."""
    for name, file in MODULES.items():
        for other in imports(file):
            if other.startswith("onegauge.") and room_of(other) != room_of(name):
                yield name, room_of(name), other, room_of(other)


def test_every_room_has_its_floor():
    assert {room_of(name) for name in MODULES} - {"", "service", "training"} == LEVEL.keys()


def test_rooms_import_from_the_floors_below_them():
    upward = [
        f"{name} imports {other}"
        for name, room, other, other_room in ours()
        if room in LEVEL and other_room in LEVEL and LEVEL[room] <= LEVEL[other_room]
    ]
    assert upward == []


def test_a_part_of_the_house_uses_what_it_may():
    foreign = []
    for name, room, other, other_room in ours():
        allowed = MAY_USE.get(room) or MAY_USE.get(room.partition(".")[0], LEVEL.keys())
        if other_room in LEVEL and not {other_room, other_room.partition(".")[0]} & set(allowed):
            foreign.append(f"{name} imports {other}")
    assert foreign == []


def test_no_module_imports_itself_by_others():
    needs = {
        name: {other for other in imports(file, at_once=True) if other in MODULES and other != name}
        for name, file in MODULES.items()
    }
    TopologicalSorter(needs).prepare()  # raises CycleError


def test_a_package_that_lists_its_modules_lists_them_all():
    packages = [name for name, file in MODULES.items() if file.name == "__init__.py"]
    for package in packages:
        told = ast.get_docstring(ast.parse(MODULES[package].read_text())) or ""
        below = {name.rpartition(".")[2] for name in MODULES if name.rpartition(".")[0] == package}
        missing = below - {"__main__"} - set(re.findall(r"\w+", told))
        assert not missing or "\n" not in told, package


@pytest.mark.parametrize("package", WITHOUT_TORCH)
def test_what_runs_at_a_line_never_imports_torch(package):
    inside = {name: file for name, file in MODULES.items() if name.startswith(package)}
    assert inside
    for name, file in inside.items():
        assert "torch" not in {other.partition(".")[0] for other in imports(file)}, name


@pytest.mark.parametrize("folder", ["bench", "demo", "docs", "rig"])
def test_nothing_imports_the_tests(folder):
    for file in (ROOT / folder).rglob("*.py"):
        assert "tests" not in {other.partition(".")[0] for other in imports(file)}, file
