"""Where figures are kept: bench/results/DATE.json, a part for each benchmark.

Figures of two machines do not stand beside each other: a day's second has DATE-2.json.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"


def keep(benchmark: str, figures: Any) -> None:
    """Write one benchmark's figures beside those that others have written today, here."""
    machine = this_machine()
    today = date.today().isoformat()
    for number in count(1):
        file = RESULTS / (f"{today}-{number}.json" if number > 1 else f"{today}.json")
        known = json.loads(file.read_text()) if file.exists() else {"machine": machine}
        if known["machine"] == machine:
            break
    known[benchmark] = figures
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps(known, indent=1) + "\n")


def newest() -> dict[str, Any]:
    """All figures of the last day on which this machine was measured; ends where there are none."""
    kept = [json.loads(f.read_text()) for f in sorted(RESULTS.glob("*.json"), key=lambda f: f.stem)]
    here: list[dict[str, Any]] = [known for known in kept if known["machine"] == this_machine()]
    if not here:
        sys.exit("bench/results has no figures of this machine: make bench-full takes them")
    return here[-1]


def this_machine() -> dict[str, Any]:
    """What tells it from others: its processor, the generation of that, its cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    told = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    numbers = (f"{name} {told[name]}" for name in ("cpu family", "model") if name in told)
    return {"processor": ", ".join([told["model name"], *numbers]), "cores": os.cpu_count()}


def spread(values: list[float], digits: int = 3) -> dict[str, float]:
    """Median, lowest and highest."""
    found = {"median": median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, digits) for name, value in found.items()}
