"""Score distributions of every product before and after alignment, after figure 5 of the paper.

Guo et al., "Absolute-Unified Multi-Class Anomaly Detection via Class-Agnostic Distribution
Alignment" (arXiv 2404.00724).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from onegauge.training.evaluation.readings import Readings
from onegauge.training.report.headline import percent
from onegauge.training.report.plots import ANOMALOUS, INK, NORMAL
from onegauge.training.report.scale import THRESHOLD

WIDTH = 11.2  # inches
HEAD = 1.2  # inches for titles, the axis and the legend
ROWS = 11.0  # inches for all rows where they are many, so that a printed page holds them
ROW_HEIGHTS = (0.19, 0.62)  # inches
LANES = {False: -0.21, True: 0.21}  # normal above, anomalous below; in rows, downwards
SPREAD = 0.26  # of the points in a lane, in rows
GOLDEN = 0.618034  # its multiples modulo 1 are spread evenly
BAND = "#f5f7f9"
AS_MANY: dict[str, Any] = {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 3))}
LINEAR_TO = 2 * THRESHOLD  # aligned scores: logarithmic beyond
TICKS = (*(-50, -20, -10, -5, -2, -1, 0, 1, 2), *(5, 10, 20, 50, 100, 200, 500, 1000))
LONGEST_NAME = 24


def draw_distributions(readings: Readings, products: Sequence[str]) -> Figure:
    """One row a product, in the order given: raw scores to the left, aligned to the right.

    The threshold is marked, and to the left the raw score that gives as many false alarms.
    """
    height = float(np.clip(ROWS / len(products), *ROW_HEIGHTS))
    figure = Figure((WIDTH, HEAD + height * len(products)), layout="constrained")
    raw, aligned = figure.subplots(1, 2, sharey=True)
    as_many = raw_threshold(readings)
    _rows(raw, readings, readings.raw_score, products)
    _rows(aligned, readings, readings.score, products)
    if np.isfinite(as_many):
        raw.axvline(as_many, **AS_MANY)
    aligned.axvline(THRESHOLD, color=INK, linewidth=1.4)
    raw.set_title(_title("Before alignment", readings.raw_score >= as_many, readings))
    aligned.set_title(_title("After alignment", readings.score >= THRESHOLD, readings))
    raw.set_xlabel("raw score")
    raw.set_yticks(range(len(products)), [short(name) for name in products], color=INK)
    raw.set_ylim(len(products) - 0.5, -0.5)
    _in_units_of_the_threshold(aligned)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5)
    return figure


def raw_threshold(readings: Readings) -> float:
    """The raw score that as many normal images reach as reach the threshold after alignment.

    Infinite where there are no normal images.
    """
    normal = ~readings.anomalous
    ordered = np.sort(readings.raw_score[normal])[::-1]  # (n,) highest first
    alarms = int((readings.score[normal] >= THRESHOLD).sum())
    if alarms == 0:
        return float(np.nextafter(ordered[0], np.inf)) if len(ordered) else np.inf
    return float(ordered[alarms - 1 : alarms + 1].mean())


def short(name: str) -> str:
    """A product's name that fits beside a plot, its middle left out where it is long."""
    half = LONGEST_NAME // 2
    shown = name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
    return shown.encode("utf-8", "replace").decode()  # a file's name may not be Unicode


def _title(when: str, flagged: np.ndarray, readings: Readings) -> str:
    kinds = readings.anomalous
    if kinds.all() or not kinds.any():
        return when
    alarms, missed = percent(flagged[~kinds].mean()), percent((~flagged[kinds]).mean())
    return f"{when}: {alarms} false alarms, {missed} misses"


def _rows(axes: Axes, readings: Readings, scores: np.ndarray, products: Sequence[str]) -> None:
    names = np.array(readings.products)
    area = 16 * min(1.0, 10 / len(products)) ** 0.5  # points²
    for row, product in enumerate(products):
        if row % 2 == 0:
            axes.axhspan(row - 0.5, row + 0.5, color=BAND, linewidth=0, zorder=0)
        for anomalous, lane in LANES.items():
            found = scores[(names == product) & (readings.anomalous == anomalous)]  # (n,)
            if len(found):
                _lane(axes, found, row + lane, anomalous, area)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _lane(axes: Axes, scores: np.ndarray, centre: float, anomalous: bool, area: float) -> None:
    """The scores (n,) of one kind and their median; spread in height, to cover each other less."""
    heights = centre + SPREAD * ((GOLDEN * np.arange(len(scores))) % 1 - 0.5)
    marker, colour, size = ("D", ANOMALOUS, 0.7 * area) if anomalous else ("o", NORMAL, area)
    points = axes.scatter(
        scores, heights, s=size, c=colour, marker=marker, alpha=0.6, linewidths=0, zorder=3
    )
    points.set_rasterized(True)  # thousands of them would make a large file
    axes.vlines(np.median(scores), centre - 0.2, centre + 0.2, color=INK, linewidth=1.6, zorder=4)


def _in_units_of_the_threshold(axes: Axes) -> None:
    axes.set_xlabel("score in units of the threshold (logarithmic above 2)")
    axes.set_xscale("symlog", linthresh=LINEAR_TO, linscale=1.2)
    axes.margins(x=0.04)
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _legend() -> list[Line2D]:
    point: dict[str, Any] = {"linestyle": "none", "markeredgewidth": 0, "alpha": 0.8}
    bar: dict[str, Any] = {
        "linestyle": "none",
        "marker": "|",
        "markersize": 9,
        "markeredgewidth": 1.6,
    }
    return [
        Line2D([], [], marker="o", color=NORMAL, label="normal image", **point),
        Line2D([], [], marker="D", markersize=5, color=ANOMALOUS, label="anomalous image", **point),
        Line2D([], [], color=INK, label="median", **bar),
        Line2D([], [], color=INK, label="the one threshold"),
        Line2D([], [], label="raw score with as many false alarms", **AS_MANY),
    ]
