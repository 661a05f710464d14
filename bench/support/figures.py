"""Where figures are kept: bench/results/MACHINE/DATE.json, a part for each benchmark.

Figures of two machines do not stand beside each other, not even of one day.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Kept:
    """What a benchmark found, and the day on which it did."""

    day: str
    figures: Any


def keep(benchmark: str, figures: Any, results: Path = RESULTS) -> None:
    """Write one benchmark's figures beside those that others have written today, here."""
    machine = this_machine()
    file = folder_of(machine, results) / f"{date.today().isoformat()}.json"
    known = json.loads(file.read_text()) if file.exists() else {"machine": machine}
    known[benchmark] = figures
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(known, indent=1) + "\n")


def newest(folder: Path | None = None) -> dict[str, Kept]:
    """Of each benchmark what it found last, on this machine or on that of a folder of results."""
    found: dict[str, Kept] = {}
    for file in sorted((folder or folder_of(this_machine())).glob("*.json")):
        parts = json.loads(file.read_text())
        del parts["machine"]
        found |= {benchmark: Kept(file.stem, figures) for benchmark, figures in parts.items()}
    return found


def folder_of(machine: dict[str, Any], results: Path = RESULTS) -> Path:
    """Where the figures of a machine are."""
    told = f"{machine['processor']} {machine['cores']} cores".lower()
    return results / "-".join(re.findall("[a-z0-9]+", told))


def this_machine() -> dict[str, Any]:
    """What tells it from others: its processor, the generation of that, its cores."""
    told = processor()
    numbers = (f"{key} {told[key]}" for key in ("cpu family", "model") if key in told)
    name = told.get("model name", platform.machine())
    return {"processor": ", ".join([name, *numbers]), "cores": os.cpu_count()}


def processor() -> dict[str, str]:
    """What Linux tells of it, its flags among that."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, lowest and highest."""
    found = {"median": median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, digits) for name, value in found.items()}
