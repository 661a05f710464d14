"""Tools of other projects, each in a folder of its own: none is a dependency of onegauge."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rig import Missing
from rig.tritonserver import CACHE


def installed(requirement: str) -> Path:
    """The folder of a package and of all it needs, installed once; raises Missing."""
    home = CACHE / f"{requirement.replace('==', '-')}-python{sys.version_info.minor}"
    if not home.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = CACHE / f"{home.name}.{os.getpid()}"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(draft)]
        done = subprocess.run([*pip, requirement], capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            raise Missing(f"{requirement} cannot be installed: {done.stderr.strip()[-500:]}")
        draft.rename(home)
    return home


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
