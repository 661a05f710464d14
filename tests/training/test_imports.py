import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "training": {
        "service",
        "service.cores",
        "service.depth",
        "service.errors",
        "service.files",
        "service.formats",
        "service.image",
        "service.proxy",
        "service.tiles",
        "training",
    },
    "export": {
        "service",
        "service.cores",
        "service.depth",
        "service.files",
        "service.formats",
        "service.image",
        "service.proxy",
        "service.errors",
        "service.contract",
        "service.repository",
        "service.tiles",
        "training",
        "export",
    },
}
IMPORT_ALL = """
import pkgutil, sys
package = __import__(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, sys.argv[1] + "."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
print(*sys.modules)
"""


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way(package):
    loaded = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, package],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    ours = {n for n in loaded if n.partition(".")[0] in ("service", "training", "export")}
    ours = {n if n.startswith("service") else n.partition(".")[0] for n in ours}
    ours = {"service.formats" if n.startswith("service.formats.") else n for n in ours}
    assert ours - ALLOWED[package] == set()
    assert package in ours
