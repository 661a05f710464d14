"""Where figures are kept: bench/results/DATE.json, a part for each benchmark.

Figures of two machines do not stand beside each other: a day's second has DATE-2.json.
"""

from __future__ import annotations

import json
import os
from datetime import date
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"


def keep(benchmark: str, figures: Any) -> None:
    """Write one benchmark's figures beside those that others have written today, here."""
    machine = {"processor": processor(), "cores": os.cpu_count()}
    today = date.today().isoformat()
    for number in count(1):
        file = RESULTS / (f"{today}-{number}.json" if number > 1 else f"{today}.json")
        known = json.loads(file.read_text()) if file.exists() else {"machine": machine}
        if known["machine"] == machine:
            break
    known[benchmark] = figures
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps(known, indent=1) + "\n")


def processor() -> str:
    """As the kernel calls it, with the numbers that tell its generation."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    told = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    numbers = (f"{name} {told[name]}" for name in ("cpu family", "model") if name in told)
    return ", ".join([told["model name"], *numbers])


def spread(values: list[float], digits: int = 3) -> dict[str, float]:
    """Median, lowest and highest."""
    found = {"median": median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, digits) for name, value in found.items()}
