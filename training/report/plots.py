"""How a plot of the report looks, and how it is kept: in the page, and as a file beside it."""

from __future__ import annotations

import warnings
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Light and dark, circle and diamond: told apart in grey, and by the colour-blind.
NORMAL, ANOMALOUS = "#4a9bd4", "#a63a00"
INK, MUTED, FAINT = "#1f2933", "#616e7c", "#e4e7eb"
DOTS_PER_INCH = 200
STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "grid.color": FAINT,
    "legend.fontsize": 9,
    "legend.edgecolor": "none",
    "legend.facecolor": "white",
    "legend.framealpha": 0.85,
    "svg.fonttype": "none",  # a browser has letters for more languages than matplotlib
    "svg.hashsalt": "onegauge",
    "text.color": INK,
    "text.parse_math": False,  # a product's name may hold dollars
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


@dataclass(frozen=True)
class Plot:
    """A plot and how to read it."""

    title: str
    reading: str
    picture: str  # data URI


def keep(draw: Callable[[], Figure], file: Path) -> str:
    """Draw a figure in the report's style, write it as PNG and return it as data URI of an SVG."""
    vector = BytesIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = draw()
        figure.savefig(file, dpi=DOTS_PER_INCH)
        figure.savefig(vector, format="svg", dpi=DOTS_PER_INCH, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(vector.getvalue()).decode()}"
