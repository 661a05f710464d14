"""Gateways with the bundled model that take turns under one load, beside each other.

Round by round and each second round the other way, so that what else the machine does hits them
alike. The load is the sample images, of which eight of twelve are anomalous, on 8 connections that
ask again as soon as they are answered. Ratios are to the gateway `off` in the same round. CPU is
that of the process for an image.
"""

from __future__ import annotations

import sys
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
        before = gateway.cpu_s()
        url = f"{gateway.url}/inspect?line={LINE}"
        with self.beside(name):
            found = load(url, bodies, content_type, seconds, connections=CONNECTIONS)
        if list(found["statuses"]) != ["200"]:
            sys.exit(f"{name} failed under load: {found['statuses']}")
        return found | {"cpu_s": (gateway.cpu_s() - before) / found["statuses"]["200"]}

    def answered(self, name: str) -> int:
        """How many images one has answered."""
        return sum(measured["statuses"]["200"] for measured in self.measured[name])

    def report(self) -> dict[str, Any]:
        """Print a table of medians over the rounds, the ratio to the gateway `off` before them."""
        off, rows = self.measured["off"], {}
        sys.stdout.write("of without              images/s   p50 ms   p99 ms   CPU ms\n")
        for name, rounds in self.measured.items():
            ratios = [r["rate"] / of["rate"] for r, of in zip(rounds, off, strict=True)]
            medians = {k: median(r[k] for r in rounds) for k in ("rate", "p50", "p99", "cpu_s")}
            rows[name] = {"of_off": spread(ratios), **medians}
            shown = "{median:.3f} ({lowest:.3f} to {highest:.3f})".format(**rows[name]["of_off"])
            times = "".join(f"{1000 * medians[key]:9.1f}" for key in ("p50", "p99", "cpu_s"))
            sys.stdout.write(f"{shown}  {medians['rate']:8.1f}{times}  {name}\n")
        return rows


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
