"""What keeping records costs the gateway, in one run.

    python -m bench.recording

off      without records
records  with records in SQLite and pictures by the default policy
all      with every picture

Gateways with the bundled model take turns, round by round and each second round the other way, so
that what else the machine does hits them alike. The load is the sample images, of which eight of
twelve are anomalous, on 8 connections that ask again as soon as they are answered. Ratios are to
`off` in the same round. CPU is that of the process for an image.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import typer

from bench.support.figures import keep, spread
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form
from bench.support.servers import Served, server

SAMPLES, RUNS = (Path(__file__).parents[1] / folder for folder in ("docs/samples", "runs"))
KEPT = {"off": None, "records": "anomalous,near,sample:0.01", "all": "all"}


def main(seconds: float = 8, rounds: int = 6) -> None:
    """Measure, print a table, keep the figures."""
    RUNS.mkdir(exist_ok=True)  # where `make serve` has its records: a disk, not memory
    with tempfile.TemporaryDirectory(dir=RUNS) as folder, ExitStack() as stack:
        bodies = Path(folder) / "bodies"
        bodies.mkdir()
        for sample in SAMPLES.glob("*.jpg"):
            body, content_type = form(sample.read_bytes())
            (bodies / sample.stem).write_bytes(body)
        running = {
            name: stack.enter_context(server("onegauge", Served(), **_settings(folder, name)))
            for name in KEPT
        }
        measured: dict[str, list[dict[str, Any]]] = {name: [] for name in KEPT}
        for number in range(rounds):
            for name in sorted(KEPT, reverse=bool(number % 2)):
                url, before = f"{running[name].url}/inspect", running[name].cpu_s()
                found = load(url, bodies, content_type, seconds, connections=CONNECTIONS)
                if list(found["statuses"]) != ["200"]:
                    sys.exit(f"{name} failed under load: {found['statuses']}")
                spent = running[name].cpu_s() - before
                measured[name].append(found | {"cpu_s": spent / found["statuses"]["200"]})
        for name in KEPT.keys() - {"off"}:
            _check(running[name].url, sum(m["statuses"]["200"] for m in measured[name]))
    report(measured)


def _settings(folder: str, name: str) -> dict[str, str]:
    if (policy := KEPT[name]) is None:
        return {}
    file = Path(folder) / name / "records.db"
    return {"ONEGAUGE_RECORDS": f"sqlite:///{file}", "ONEGAUGE_KEEP": policy}


def _check(url: str, answered: int) -> None:
    """What was answered is written, or else what was measured is worth nothing."""
    httpx.get(f"{url}/v1/inspections")
    told = httpx.get(f"{url}/metrics").text.splitlines()
    written = next(line for line in told if line.startswith("onegauge_records_written_total "))
    if float(written.split()[1]) != answered:
        sys.exit(f"{answered} answers, but {written}")


def report(measured: dict[str, list[dict[str, Any]]]) -> None:
    """Medians over the rounds, the ratio to the gateway without records first."""
    rows = {}
    sys.stdout.write("of without              images/s   p50 ms   p99 ms   CPU ms\n")
    for name, rounds in measured.items():
        ratios = [r["rate"] / of["rate"] for r, of in zip(rounds, measured["off"], strict=True)]
        medians = {key: median(r[key] for r in rounds) for key in ("rate", "p50", "p99", "cpu_s")}
        rows[name] = {"of_off": spread(ratios), **medians}
        shown = "{median:.3f} ({lowest:.3f} to {highest:.3f})".format(**rows[name]["of_off"])
        times = "".join(f"{1000 * medians[key]:9.1f}" for key in ("p50", "p99", "cpu_s"))
        sys.stdout.write(f"{shown}  {medians['rate']:8.1f}{times}  {name}\n")
    keep(f"recording on {len(os.sched_getaffinity(0))} cores", rows)


if __name__ == "__main__":
    typer.run(main)
