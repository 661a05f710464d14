import subprocess
import sys

import pytest

ALLOWED = {
    "training.train": {"service", "service.image", "service.errors", "training"},
    "export.export_run": {
        "service",
        "service.image",
        "service.errors",
        "service.contract",
        "training",
        "export",
    },
}


@pytest.mark.parametrize("module", ALLOWED)
def test_imports_go_one_way(module):
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {n for n in loaded if n.partition(".")[0] in ("service", "training", "export")}
    ours = {n if n.startswith("service") else n.partition(".")[0] for n in ours}
    assert ours - ALLOWED[module] == set()
    assert module.partition(".")[0] in ours
