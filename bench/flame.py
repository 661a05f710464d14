"""Where the time of an image goes: a gateway at full load, as a flame graph.

    python -m bench.flame

The load is a JPEG of a megapixel as the body, on 8 connections. py-spy, in an environment of its
own, looks 200 times a second at what the threads of the gateway compute, or would if they had a
core; time in a library of C counts for the function of Python that called it. It needs the right to
look into another process.
Draws docs/images/flame.png (Gregg, The Flame Graph, CACM 2016).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.support.load import CONNECTIONS, load
from bench.support.pictures import picture
from bench.support.servers import ROOT, Served, peer_python, server

PY_SPY = "py-spy==0.4.1"
SECONDS, LOOKS_A_SECOND = 20, 200
STARTED_WITHIN_S = 5
TARGET = ROOT / "docs" / "images" / "flame.png"
FRAME = re.compile(r"(.+) \((.+?)(?::\d+)?\)")
BEGINS = {"asyncio/runners.py": "event loop", "concurrent/futures/thread.py": "workers"}
COLOURS = {"onegauge": "#0072b2", "onnxruntime": "#d55e00", "PIL": "#e69f00"}
OTHERS = "#8c8c8c"
SEEN = 0.002  # share of the picture's width that can be seen
CHARACTERS = 200  # that the whole width has room for


@dataclass
class Part:
    """A function where it was called: how often it was seen, and what it called meanwhile."""

    seen: int = 0
    within: dict[tuple[str, str], Part] = field(default_factory=dict)  # by name and file

    def add(self, frames: list[tuple[str, str]], seen: int) -> None:
        """A stack from here on inwards that was seen so often."""
        self.seen += seen
        if frames:
            self.within.setdefault(frames[0], Part()).add(frames[1:], seen)


def main() -> None:
    """Look, and draw."""
    whole = Part()
    for frames, seen in stacks(look()):
        whole.add(frames, seen)
    draw(whole, TARGET)


def look() -> str:
    """Stacks of a gateway at full load as py-spy writes them, a line each with a count."""
    spy = Path(peer_python(PY_SPY)).with_name("py-spy")
    with TemporaryDirectory() as folder, server("onegauge", Served()) as gateway:
        body, output = Path(folder) / "body", Path(folder) / "stacks"
        body.write_bytes(picture())
        looks = [spy, "record", "--pid", gateway.pid, "--output", output, "--format", "raw"]
        how = ["--function", "--rate", LOOKS_A_SECOND, "--duration", SECONDS]
        with subprocess.Popen([*map(str, looks + how)], stdout=subprocess.DEVNULL) as looking:
            asked = SECONDS + STARTED_WITHIN_S
            load(f"{gateway.url}/inspect", body, "image/jpeg", asked, connections=CONNECTIONS)
        if looking.returncode:
            sys.exit("py-spy could not look into the gateway")
        return output.read_text()


def stacks(told: str) -> Iterator[tuple[list[tuple[str, str]], int]]:
    """Names and files of functions from where a thread begins its work, and how often."""
    for line in told.splitlines():
        stack, _, seen = line.rpartition(" ")
        frames = [match.groups() for match in map(FRAME.fullmatch, stack.split(";")) if match]
        begins = [i for i, (_, file) in enumerate(frames) if file in BEGINS]
        if begins:
            of = BEGINS[frames[begins[-1]][1]]
            yield [(of, ""), *frames[begins[-1] + 1 :]], int(seen)


def draw(whole: Part, target: Path) -> None:
    """What calls above what is called, as wide as it takes time."""
    figure = Figure(figsize=(14, 5), layout="constrained")
    axes = figure.subplots()
    depth = _draw(axes, whole, 0.0, whole.seen, 0)
    axes.set(
        xlim=(0, 1),
        ylim=(depth, 0),
        yticks=[],
        xlabel="share of the time in which a thread has something to do",
    )
    axes.spines[["top", "left", "right"]].set_visible(False)
    figure.savefig(target, dpi=100)


def _draw(axes: Axes, part: Part, start: float, whole: int, depth: int) -> int:
    deepest = depth
    for (name, file), inner in sorted(part.within.items(), key=lambda item: -item[1].seen):
        width = inner.seen / whole
        if width < SEEN:
            break
        colour = next((c for of, c in COLOURS.items() if of in file), OTHERS)
        axes.broken_barh([(start, width)], (depth, 1), color=colour, edgecolor="white", lw=0.4)
        if (room := int(CHARACTERS * width)) > 3:
            shown = " ".join([*Path(file).parts[-1:], name])[:room]
            text = {"ha": "left", "va": "center", "fontsize": 7, "color": "white"}
            axes.text(start + 0.001, depth + 0.5, shown, clip_on=True, **text)
        deepest = max(deepest, _draw(axes, inner, start, whole, depth + 1))
        start += width
    return max(deepest, depth)


if __name__ == "__main__":
    typer.run(main)
