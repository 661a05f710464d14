"""Latency against load, and what is left of the gateway when three times as much is asked of it.

    python -m bench.saturation

Open loads, so that no latency is left out (bench/support/load.py), at shares of what the
gateway does with 8 connections. Draws docs/images/latency.png.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import typer
from matplotlib.figure import Figure

from bench.support.figures import keep
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form, picture
from bench.support.servers import ROOT, Served, server
from onegauge.service.settings import Settings

SHARES = (0.2, 0.4, 0.6, 0.8, 0.9)
OVERLOAD = 3
COLOURS = {"onegauge": "#0072b2", "plain": "#d55e00", "litserve": "#009e73", "bentoml": "#8c8c8c"}
TARGET = ROOT / "docs" / "images" / "latency.png"


def main(seconds: float = 15) -> None:
    """Measure, print, draw, keep the figures."""
    body, content_type = form(picture())
    curves: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "body"
        file.write_bytes(body)

        def under(who: str, **how: float) -> dict[str, Any]:
            return load(f"{urls[who]}/inspect", file, content_type, seconds, **how)

        urls = {who: stack.enter_context(server(who, Served())).url for who in COLOURS}
        capacity = under("onegauge", connections=CONNECTIONS)["rate"]
        for share in SHARES:
            for who in COLOURS:
                found = under(who, rate=share * capacity) | {"offered": share * capacity}
                curves.setdefault(who, []).append(found)
        overload = overloaded(under, capacity)
    for who, curve in curves.items():
        for found in curve:
            sys.stdout.write(
                f"{who:9} {found['offered']:6.1f} offered  {found['rate']:6.1f} images/s"
                f"  p50 {1000 * found['p50']:7.1f} ms  p99 {1000 * found['p99']:7.1f} ms\n"
            )
    sys.stdout.write("  ".join(f"{k} {v}" for k, v in overload.items()) + "\n")
    draw(curves, TARGET)
    keep("saturation", {"capacity": capacity, "curves": curves, "overload": overload})


def overloaded(under: Any, capacity: float) -> dict[str, Any]:
    """Answers under three times the capacity, beside what as many patient clients get."""
    settings = Settings(api_keys="off")
    found = under("onegauge", rate=OVERLOAD * capacity)
    patient = under("onegauge", connections=settings.max_in_flight + settings.max_waiting)
    return {
        "goodput_of_capacity": round(found["rate"] / capacity, 3),
        "p99_s": round(found["p99"], 3),
        "p99_of_patient_s": round(patient["p99"], 3),
        "statuses": found["statuses"],
    }


def draw(curves: dict[str, list[dict[str, Any]]], target: Path) -> None:
    """Median and 99th percentile against the load."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for who, curve in curves.items():
        offered = [found["offered"] for found in curve]
        for quantile, style in (("p50", ":"), ("p99", "-")):
            label = who if quantile == "p99" else None
            times = [1000 * found[quantile] for found in curve]
            axes.plot(offered, times, style, marker=".", color=COLOURS[who], label=label)
    axes.set(yscale="log", xlabel="offered images/s", ylabel="ms: 99 % (line), median (dots)")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    typer.run(main)
