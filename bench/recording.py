"""What keeping records costs the gateway, in one run.

    python -m bench.recording

off      without records
records  with records in SQLite and pictures by the default policy
all      with every picture

They take turns, as `bench/support/turns.py` tells. The gateways have a core and the load has
another, so that what it takes to ask is no part of what it takes to answer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import typer

from bench.support.figures import keep
from bench.support.pinned import pinned, two_cores
from bench.support.turns import folder_on_disk, gateways

KEPT = {"off": None, "records": "anomalous,near,sample:0.01", "all": "all"}


def main(seconds: float = 8, rounds: int = 6) -> None:
    """Measure, print a table, keep the figures."""
    serves, asks = two_cores()
    with (
        folder_on_disk() as folder,
        pinned(serves),
        gateways({name: _settings(folder, name) for name in KEPT}) as turns,
    ):
        with pinned(asks):
            turns.measure(seconds, rounds)
        for name in KEPT.keys() - {"off"}:
            _check(turns.gateways[name].url, turns.answered(name))
    keep("recording", turns.report())


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
