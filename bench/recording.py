"""What keeping records costs the gateway, in one run.

    python -m bench.recording

off      without records
records  with records in SQLite and pictures by the default policy
all      with every picture

They take turns, as `bench/support/turns.py` tells.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import typer

from bench.support.figures import keep
from bench.support.turns import folder_on_disk, gateways

KEPT = {"off": None, "records": "anomalous,near,sample:0.01", "all": "all"}


def main(seconds: float = 8, rounds: int = 6) -> None:
    """Measure, print a table, keep the figures."""
    with (
        folder_on_disk() as folder,
        gateways({name: _settings(folder, name) for name in KEPT}) as turns,
    ):
        turns.measure(seconds, rounds)
        for name in KEPT.keys() - {"off"}:
            _check(turns.gateways[name].url, turns.answered(name))
    keep(f"recording on {len(os.sched_getaffinity(0))} cores", turns.report())


def _settings(folder: Path, name: str) -> dict[str, str]:
    if (policy := KEPT[name]) is None:
        return {}
    file = folder / name / "records.db"
    return {"ONEGAUGE_RECORDS": f"sqlite:///{file}", "ONEGAUGE_KEEP": policy}


def _check(url: str, answered: int) -> None:
    """What was answered is written, or else what was measured is worth nothing."""
    httpx.get(f"{url}/v1/inspections")
    told = httpx.get(f"{url}/metrics").text.splitlines()
    written = next(line for line in told if line.startswith("onegauge_records_written_total "))
    if float(written.split()[1]) != answered:
        sys.exit(f"{answered} answers, but {written}")


if __name__ == "__main__":
    typer.run(main)
