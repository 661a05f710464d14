"""Teaching by the command line, where torch is not installed."""

import shutil
import subprocess
import sys
from pathlib import Path

from onegauge.service.model.repository import served_version

WITHOUT_TORCH = (
    "import sys; sys.modules.update(torch=None, matplotlib=None, scipy=None, sklearn=None)\n"
    "from onegauge.cli import main; main(sys.argv[1:])"
)


def onegauge(*arguments: object) -> str:
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_images_come_and_go_without_torch(
    trained_repository: Path, product_tree: Path, tmp_path: Path
):
    repository = Path(shutil.copytree(trained_repository, tmp_path / "repository"))
    data = product_tree / "cloth" / "test" / "good"
    told = onegauge("add", repository, "--name", "onegauge", "--data", data, "--include", "*")
    assert "6 images become references, 66 in all" in " ".join(told.split())
    table = tmp_path / "references.csv"
    onegauge("references", repository, "--name", "onegauge", "--csv", table)
    rows = table.read_text().splitlines()
    assert len(rows) == 1 + 66
    chosen = rows[-1].split(",")[0]
    told = onegauge("remove", repository, "--name", "onegauge", "--reference", chosen)
    assert f"published {repository / 'onegauge' / '3'}" in told.replace("\n", "")
    assert served_version(repository / "onegauge").contract.parameters["references"] == "65"
