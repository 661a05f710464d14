"""Draw how the newest figures of this machine scale: docs/images/scaling.png.

    python -m bench.plots [--machine bench/results/MACHINE]

With pixels, references and cores. More cores than were measured follow a model: an image takes some
time of a core, of which some is that of the event loop, and one process has one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.support.figures import newest
from bench.support.servers import ROOT

TARGET = ROOT / "docs" / "images" / "scaling.png"
OURS, OTHER = "#0072b2", "#8c8c8c"
CORES = (1, 2, 4, 8, 16, 32)
MEASURED = {cores: f"throughput of onegauge on {cores} cores" for cores in (1, 2)}
DRAWN = ("formats", "references", *MEASURED.values())


def main(target: Path = TARGET, machine: Path | None = None) -> None:
    """Draw all three, of another `machine` from the folder of its results."""
    figures = {benchmark: kept.figures for benchmark, kept in newest(machine).items()}
    if missing := [benchmark for benchmark in DRAWN if benchmark not in figures]:
        sys.exit(f"No figures of this machine: {', '.join(missing)}. make bench-full takes them.")
    draw(figures, target)


def draw(figures: dict[str, Any], target: Path) -> None:
    """One picture."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    pixels, references, cores = figure.subplots(1, 3)
    by_pixels(pixels, figures["formats"])
    by_references(references, figures["references"])
    by_cores(cores, figures)
    for axes in (pixels, references, cores):
        axes.grid(visible=True, alpha=0.3)
        axes.set_ylim(0, 1.1 * axes.dataLim.ymax)
    figure.savefig(target, dpi=110)


def by_pixels(axes: Axes, formats: dict[str, Any]) -> None:
    """Images a second of JPEG and PNG."""
    for kind, colour in (("JPEG", OURS), ("PNG", OTHER)):
        found = {
            float(label.split()[0]): row["images_per_s"]
            for label, row in formats.items()
            if label.split(maxsplit=2)[2] == kind
        }
        axes.plot(list(found), list(found.values()), ".-", color=colour, label=kind)
    axes.set(xlabel="megapixels", ylabel="images/s, 8 connections")
    axes.legend()


def by_references(axes: Axes, references: dict[str, Any]) -> None:
    """Milliseconds of the graph with so many normal images."""
    times = [row["ms"] for row in references.values()]
    axes.plot([int(count) / 1000 for count in references], times, ".-", color=OURS)
    axes.set(xlabel="thousand references", ylabel="inspection, ms, one thread")


def by_cores(axes: Axes, figures: dict[str, Any]) -> None:
    """Images a second as measured, and as the model has it."""
    measured = {cores: figures[benchmark]["onegauge"] for cores, benchmark in MEASURED.items()}
    bound = 1 / measured[2]["event_loop_s"]
    model = [min(cores * measured[1]["rate"], bound) for cores in CORES]
    axes.plot(CORES, model, "--", color=OTHER, label="model of one process")
    rates = [row["rate"] for row in measured.values()]
    axes.plot(list(measured), rates, "o", color=OURS, label="measured")
    axes.set(xlabel="cores", ylabel="images/s, 8 connections")
    axes.legend()


if __name__ == "__main__":
    typer.run(main)
