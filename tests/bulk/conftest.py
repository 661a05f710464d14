"""Images, and the command as a user calls it, on the cluster of all tests."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.cli.command import status

Inspect = Callable[..., int]
Ended = Callable[[Path, str], "subprocess.CompletedProcess[str]"]
BROKEN = "broken.png"
DRIVER = """
import os, signal, sys

from onegauge.bulk import output
from onegauge.cli import main

def write(self, name, rows):
    if self._number == 2 and signals:
        os.kill(os.getpid(), signal.Signals[signals.pop()])
    written(self, name, rows)

output.PART_ROWS = 1
signals = [sys.argv[1]]
written, output.Output._write = output.Output._write, write
main(sys.argv[2:])
"""


def rows_of(output: Path) -> list[dict[str, Any]]:
    """The rows of an output, in the order of their paths."""
    return sorted(pq.read_table(output).to_pylist(), key=lambda row: row["path"])


def assert_each_once(output: Path, files: list[str]) -> None:
    """Each file has one row, with a decision."""
    rows = rows_of(output)
    assert [row["path"] for row in rows] == files
    assert all(row["problem"] is None for row in rows)


def greys(folder: Path, count: int, start: int = 0) -> list[str]:
    """Files of rising greys with names that sort alike; from 128 on anomalous to the gauge."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        image = Image.new("RGB", (96, 64), (number % 256,) * 3)
        image.save(folder / f"{number:05d}.png", compress_level=0)
    return [str(folder / f"{number:05d}.png") for number in range(start, start + count)]


@pytest.fixture
def inspect(gauge_repository: Path, ray_address: str, tmp_path: Path) -> Inspect:
    """Inspects a source into `tmp_path/out` by the gauge; gives the exit status."""

    def inspect(source: object, *options: str) -> int:
        by = ["--model", str(gauge_repository)] if "--url" not in options else []
        ray = ["--engine", "ray", "--address", ray_address, "--output", str(tmp_path / "out")]
        return status("inspect", str(source), *ray, *by, *options)

    return inspect


@pytest.fixture
def ended(gauge_repository: Path, ray_address: str, tmp_path: Path) -> Ended:
    """The same in a process of its own, which a signal meets before it writes its third file."""

    def ended(source: Path, signal: str) -> "subprocess.CompletedProcess[str]":
        ray = ["--engine", "ray", "--address", ray_address, "--output", str(tmp_path / "out")]
        command = ["inspect", str(source), *ray, "--model", str(gauge_repository)]
        return subprocess.run(
            [sys.executable, "-c", DRIVER, signal, *command],
            capture_output=True,
            text=True,
            check=False,
        )

    return ended
