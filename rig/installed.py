"""Tools of other projects, each in a folder of its own: none is a dependency of onegauge."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from rig import Missing
from rig.once import once

CACHE = Path(os.environ.get("ONEGAUGE_TEST_CACHE", Path(__file__).parents[1] / ".cache"))


def installed(requirement: str) -> Path:
    """The folder of a package and of all it needs, installed once; raises Missing."""
    home = CACHE / f"{requirement.replace('==', '-')}-python{sys.version_info.minor}"
    return once(home, partial(pip_install, requirement))


def pip_install(requirement: str, folder: Path, *options: str) -> None:
    """Install a package into a folder that is not there; raises Missing."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *options]
    done = subprocess.run([*pip, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{requirement} cannot be installed: {done.stderr.strip()[-500:]}")


def run_python(
    *arguments: str | Path, path: Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """This Python with the packages of a folder before its own."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(path)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
