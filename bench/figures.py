"""Where figures are kept: bench/results/DATE.json, a part for each benchmark."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"


def keep(benchmark: str, figures: Any) -> None:
    """Write one benchmark's figures beside those that others have written today, here."""
    file = RESULTS / f"{date.today().isoformat()}.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    machine = {"processor": processor(), "cores": os.cpu_count()}
    if known.get("machine") != machine:
        known = {"machine": machine}  # figures of two machines do not stand beside each other
    known[benchmark] = figures
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps(known, indent=1) + "\n")


def processor() -> str:
    """As the kernel calls it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))


def spread(values: list[float], digits: int = 3) -> dict[str, float]:
    """Median, lowest and highest."""
    found = {"median": median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, digits) for name, value in found.items()}
