"""What onegauge is to reach, beside what it reaches here: the table of `make bench`.

    python -m bench.goals [COMMAND ...] [--no-measure]

Each command measures in a process of its own what some goals are about, in turns with what it is
compared with, and its figures are kept. What is not measured now, or takes too long to be, stands
in the table as this machine's newest figure, with its day.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from itertools import groupby
from time import monotonic
from typing import Annotated, Any

import typer

from bench.support.apart import apart
from bench.support.figures import Kept, keep, newest, processor
from rig import Missing

ANOMALIB, WHOLE_LINE = "anomalib patchcore", "whole_line"
TOO_LONG = {ANOMALIB, WHOLE_LINE}  # for ten minutes
CPU, OF = "cpu_of_loop > median", "of_fewest"
BEFORE = "gateway, messages, 1 in a request > cpu_of_client"
FAST = {"amx_int8", "avx512_vnni", "avx_vnni"}  # flags of processors with small integers
NONE = "not measured"
LINE = "{:46} {:>9}   {:10} {}\n"


@dataclass(frozen=True)
class Goal:
    """What a figure of a command is to be."""

    what: str
    command: str
    path: str  # of the figure among those of the command
    wanted: str  # its bound, and maybe a unit

    def row(self, found: Kept | str, today: str) -> str:
        """A line of the table: pass or short, with the day of an older figure; or why not known."""
        measured = self.measured(found.figures) if isinstance(found, Kept) else None
        if measured is None:
            reason = NONE if isinstance(found, Kept) else found
            return LINE.format(self.what, "", self.wanted, reason)
        day = "" if found.day == today else f" ({found.day})"
        verdict = ("short", "pass")[self.passes(measured)]
        return LINE.format(self.what, f"{measured:.4g}", self.wanted, verdict + day)

    def passes(self, measured: float) -> bool:
        """Whether it is within its bound."""
        sign, limit, *_ = self.wanted.split()
        return measured <= float(limit) if sign == "≤" else measured >= float(limit)

    def measured(self, figures: Any) -> float | None:
        """Its figure, None where those of another day lack it."""
        for name in self.path.split(" > "):
            if name not in figures:
                return None
            figures = figures[name]
        return float(figures)


GOALS = (
    Goal("CPU for an image in a body, of the loop's", "hotpath", f"body > {CPU}", "≤ 1.06"),
    Goal("CPU for an image in a form, of the loop's", "hotpath", f"form > {CPU}", "≤ 1.1"),
    Goal("images a second, of the loop's", "hotpath", "body > rate_of_loop > median", "≥ 0.95"),
    Goal("added to a lone request, body, median", "latency", "image > added_ms > p50", "≤ 1.2 ms"),
    Goal("added to a lone request, body, 99 %", "latency", "image > added_ms > p99", "≤ 2.5 ms"),
    Goal("added to a lone request, form, median", "latency", "form > added_ms > p50", "≤ 1.5 ms"),
    Goal("added to a lone request, form, 99 %", "latency", "form > added_ms > p99", "≤ 3 ms"),
    Goal("2 connections, of the best", "overload", "goodput > 2 > median", "≥ 0.95"),
    Goal("50 connections, of the best", "overload", "goodput > 50 > median", "≥ 0.95"),
    Goal("200 connections, of the best", "overload", "goodput > 200 > median", "≥ 0.95"),
    Goal("three times too much, of the best", "overload", "goodput > open > median", "≥ 0.95"),
    Goal("99 % then, of patient clients'", "overload", "p99_of_patient > median", "≤ 1.5"),
    Goal("start to ready", "start", "ready_s > median", "≤ 1 s"),
    Goal("memory under load", "start", "memory_mb", "≤ 180 MB"),
    Goal("CPU before Triton, of a client that decodes", "triton", f"{BEFORE} > median", "≤ 1.1"),
    Goal("decoding a 12 MP JPEG, of Pillow's", "decoding", "12 MP JPEG > of_full", "≤ 0.2"),
    Goal("decoding a 4 MP PNG, of Pillow's", "decoding", "4 MP PNG > of_full", "≤ 0.6"),
    Goal("inspection with 16,000 references, of 1,600", "references", f"16000 > {OF}", "≤ 1.05"),
    Goal("inspection with 100,000 references", "references", f"100000 > {OF}", "≤ 1.15"),
    Goal("loading those", "references", "100000 > load_s", "≤ 3 s"),
    Goal("bare loop, of a training", "training", "loop_of_training > median", "≥ 0.8"),
    Goal("speed, of anomalib's", ANOMALIB, "speed_of_anomalib", "≥ 3"),
    Goal("training on a whole line, of anomalib's", WHOLE_LINE, "of_anomalib", "≥ 40"),
)


def goals(flags: set[str]) -> Iterator[Goal]:
    """All of them, on a processor with these flags."""
    yield from GOALS
    wanted = "≥ 2" if flags & FAST else "≥ 1.5"
    yield Goal("speed in int8, of the fastest fp32", "runtimes", "int8_or_bf16_of_fp32", wanted)


def main(
    commands: Annotated[list[str] | None, typer.Argument(help="Those that measure.")] = None,
    measure: Annotated[bool, typer.Option(help="Measure, or show what is kept.")] = True,
) -> None:
    """Measure what some commands do, by default all; print a row for each goal."""
    started = monotonic()
    wanted = [*goals({*processor().get("flags", "").split()})]
    measuring = {goal.command for goal in wanted} - TOO_LONG
    if unknown := {*(commands or ())} - measuring:
        sys.exit(f"No goal is measured by {min(unknown)}, but by {', '.join(sorted(measuring))}")
    now = {*(commands or measuring)} if measure else set()

    def found(command: str) -> Kept | str:
        if command in now:
            try:
                keep(command, apart(_measure, command).result())
            except (Missing, SystemExit) as exc:
                return str(exc)
        return newest().get(command, NONE)

    for line in table(wanted, found, date.today().isoformat()):
        sys.stdout.write(line)
        sys.stdout.flush()
    sys.stdout.write(f"{(monotonic() - started) / 60:.1f} minutes\n")


def table(wanted: Iterable[Goal], found: Callable[[str], Kept | str], today: str) -> Iterator[str]:
    """A row for each goal, once `found` has the figures of its command."""
    yield LINE.format("what", "measured", "goal", "")
    for command, of_command in groupby(wanted, key=lambda goal: goal.command):
        figures = found(command)
        yield from (goal.row(figures, today) for goal in of_command)


def _measure(command: str) -> Any:
    return import_module(f"bench.{command}").measure()


if __name__ == "__main__":
    typer.run(main)
