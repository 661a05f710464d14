"""The wheel: what is in it, that it is typed, and that it runs beside modules named as our folders.

It is built from what `.dockerignore` lets through, as an image builds it.
"""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from rig.gateway_process import gateway_process

ROOT = Path(__file__).parents[1]
DECOYS = ("service.py", "training/__init__.py", "export/__init__.py")
CLIENT = """
import asyncio, sys
from pathlib import Path

import onegauge, onegauge.client, onegauge.export.publish, onegauge.training.config
from onegauge import AsyncClient, Client

assert Path(onegauge.__file__).is_relative_to(sys.prefix), onegauge.__file__
url, part = sys.argv[1], Path("part.png")

async def ask():
    async with AsyncClient(url) as gateway:
        return await gateway.inspect([part])

with Client(url) as gateway:
    for answer in (gateway.inspect([part]), asyncio.run(ask())):
        print(answer.results[0].decision)
"""
TYPED = """
from typing import assert_type

from onegauge import AsyncClient, Client
from onegauge.client import Answer

async def ask() -> None:
    async with AsyncClient("http://gateway") as gateway:
        assert_type(await gateway.inspect([b""]), Answer)

with Client("http://gateway") as gateway:
    assert_type(gateway.inspect([b""]), Answer)
    assert_type(gateway.inspect([b""]).results[0].index, int)
"""


def run_module(*command: str | Path) -> None:
    """Run a module of this environment."""
    subprocess.run([sys.executable, "-m", *command], check=True)


def build(source: Path, folder: Path) -> Path:
    """The wheel of a folder or an sdist."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run_module("pip", "wheel", *options, "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that an image is built from."""
    folder = tmp_path_factory.mktemp("context")
    ignored = shutil.ignore_patterns("__pycache__")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            copy = shutil.copy if source.is_file() else shutil.copytree
            options = {} if source.is_file() else {"symlinks": True, "ignore": ignored}
            copy(source, folder / source.name, **options)
    return folder


@pytest.fixture(scope="module")
def wheel(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(context, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one with the wheel; what that needs is read from this process's."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home)
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    run_module("pip", "--python", home / "bin" / "python", "install", *options, wheel)
    # a path in a .pth file is searched, but its own .pth files, as of an editable onegauge, are not
    (site_packages,) = home.glob("lib/python*/site-packages")
    (site_packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    return home


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A customer's folder, whose modules must not be taken for ours."""
    folder = tmp_path_factory.mktemp("workplace")
    for decoy in DECOYS:
        (folder / decoy).parent.mkdir(exist_ok=True)
        (folder / decoy).write_text("raise ImportError('this is not onegauge')")
    return folder


def test_it_holds_onegauge_alone_with_all_that_its_folders_hold(wheel):
    names = set(ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"onegauge"}
    for folder in ("service", "training", "export"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
        kept = [path.relative_to(ROOT) for path in files if "__pycache__" not in path.parts]
        assert {f"onegauge/{path}" for path in kept} <= names


def test_it_says_under_which_licence_and_whose_weights_are_in_it(wheel):
    with ZipFile(wheel) as archive:
        told = {
            name.rpartition("/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if "/licenses/" in name
        }
    assert "Apache License" in told["LICENSE"]
    assert "training/backbones/starter.safetensors" in told["NOTICE"]


def test_the_sdist_holds_each_file_once_and_makes_the_same_wheel(context, wheel, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path],
        cwd=context,
        check=True,
    )
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames()}
    assert tops == {"onegauge", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "PKG-INFO"}
    again = build(sdist, tmp_path)
    assert ZipFile(again).namelist() == ZipFile(wheel).namelist()


def test_client_and_gateway_run_beside_modules_of_these_names(
    environment, workplace, gauge_repository, normal
):
    (workplace / "part.png").write_bytes(normal)
    (workplace / "client.py").write_text(CLIENT)
    programs = environment / "bin"
    with gateway_process(gauge_repository, python=programs / "python", cwd=workplace) as gateway:
        for command, told in (
            ([programs / "python", "client.py", gateway.url], "normal\nnormal\n"),
            ([programs / "onegauge", "inspect", "part.png", "--url", gateway.url], "1 normal"),
        ):
            done = subprocess.run(
                command, cwd=workplace, capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert told in done.stdout


def test_a_type_checker_knows_what_the_clients_take_and_give(environment, workplace):
    (workplace / "typed.py").write_text(TYPED)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "typed.py"]
    done = subprocess.run(
        [*mypy, "--python-executable", environment / "bin" / "python"],
        cwd=workplace,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
