"""Gateways with the bundled model that take turns under one load, beside each other.

Round by round and each second round the other way, so that what else the machine does hits them
alike. The load is the sample images, of which eight of twelve are anomalous, on 8 connections that
ask again as soon as they are answered. Ratios are to the gateway `off` in the same round. CPU is
that of the process for an image, with what it still does of it after the answer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.support.figures import spread
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form
from bench.support.servers import Running, Served, server

SAMPLES, RUNS = (Path(__file__).parents[2] / folder for folder in ("docs/samples", "runs"))
LINE = "press-3"  # that the pictures are of
AFTER_S = 1.0  # in which all that was answered has left the gateway


@contextmanager
def folder_on_disk() -> Iterator[Path]:
    """An empty folder where `make serve` has its records: on a disk, not in memory."""
    RUNS.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=RUNS) as folder:
        yield Path(folder)


@dataclass
class Turns:
    """The gateways by their names, and what was measured of each, round by round."""

    gateways: dict[str, Running]
    measured: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    beside: Callable[[str], AbstractContextManager[object]] = nullcontext  # a turn of its name

    def measure(self, seconds: float, rounds: int) -> None:
        """Have them take their turns; ends where one fails."""
        names = list(self.gateways)
        self.measured = {name: [] for name in names}
        with TemporaryDirectory() as folder:
            for sample in SAMPLES.glob("*.jpg"):
                body, content_type = form(sample.read_bytes())
                (Path(folder) / sample.stem).write_bytes(body)
            for number in range(rounds):
                for name in reversed(names) if number % 2 else names:
                    found = self._turn(name, Path(folder), content_type, seconds)
                    self.measured[name].append(found)

    def _turn(self, name: str, bodies: Path, content_type: str, seconds: float) -> dict[str, Any]:
        gateway = self.gateways[name]
        url = f"{gateway.url}/inspect?line={LINE}"
        with self.beside(name):
            before = gateway.cpu_s()
            found = load(url, bodies, content_type, seconds, connections=CONNECTIONS)
            time.sleep(AFTER_S)
            spent = gateway.cpu_s() - before
        if list(found["statuses"]) != ["200"]:
            sys.exit(f"{name} failed under load: {found['statuses']}")
        return found | {"cpu_s": spent / found["statuses"]["200"]}

    def answered(self, name: str) -> int:
        """How many images one has answered."""
        return sum(measured["statuses"]["200"] for measured in self.measured[name])

    def report(self) -> dict[str, Any]:
        """Print a table of medians over the rounds, the ratios to the gateway `off` before them."""
        rows = {}
        sys.stdout.write(
            "images/s of without     CPU of without          images/s   p50 ms   p99 ms   CPU ms\n"
        )
        for name, rounds in self.measured.items():
            medians = {k: median(r[k] for r in rounds) for k in ("rate", "p50", "p99", "cpu_s")}
            ratios = {
                "of_off": self._ratios(name, "rate"),
                "cpu_of_off": self._ratios(name, "cpu_s"),
            }
            rows[name] = {**ratios, **medians}
            form = "{median:.3f} ({lowest:.3f} to {highest:.3f})"
            shown = "  ".join(form.format(**ratio) for ratio in ratios.values())
            times = "".join(f"{1000 * medians[key]:9.2f}" for key in ("p50", "p99", "cpu_s"))
            sys.stdout.write(f"{shown}  {medians['rate']:8.1f}{times}  {name}\n")
        return rows

    def _ratios(self, name: str, key: str) -> dict[str, float]:
        """A figure of one to that of the gateway `off`, round by round."""
        rounds = zip(self.measured[name], self.measured["off"], strict=True)
        return spread([measured[key] / off[key] for measured, off in rounds])


@contextmanager
def gateways(settings: Mapping[str, Mapping[str, str]]) -> Iterator[Turns]:
    """Gateways by their names, each with its variables of the environment."""
    with ExitStack() as stack:
        yield Turns(
            {
                name: stack.enter_context(server("onegauge", Served(), **variables))
                for name, variables in settings.items()
            }
        )
