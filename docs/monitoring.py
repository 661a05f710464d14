"""Draw docs/images/monitoring.png: what the dashboards show while three lines go wrong.

    python docs/monitoring.py docs/images/monitoring.png

A real gateway inspects rendered parts of three lines for a few minutes, a real Prometheus scrapes
it each second, and the panels are drawn from the dashboards' own queries. After a third of the
time the lens of press gets dirty, little by little; after two thirds a batch of mill is bad, and
oven starts a product that nobody has trained.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageFilter

from demo.products.tree import write_tree
from rig.gateway_process import gateway_process
from rig.prometheus import Prometheus, prometheus

ROOT = Path(__file__).parents[1]
SECONDS = 330.0
PAUSE_S = 0.12  # between the parts of a line
PANELS = (
    ("quality", "Anomalous"),
    ("quality", "Drift"),
    ("quality", "Flagged beside what is promised"),
    ("quality", "Unknown products"),
    ("overview", "Time of an inspection"),
    ("overview", "Where the time goes"),
)
VARIABLES = {"$__rate_interval": "20s", "$line": ".*"}
COLOURS = {"press": "#0072b2", "mill": "#d55e00", "oven": "#009e73"}


def main(target: Path) -> None:
    """Run the lines, then draw."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_tree(home / "parts", train=0, test_good=60, test_defective=20, seed=2, size=256)
        settings = {"ONEGAUGE_API_KEYS": "off", "ONEGAUGE_LOG_LEVEL": "warning"}
        with (
            gateway_process(ROOT / "model_repository", **settings) as gateway,
            prometheus(home, {"gateway": [gateway.url.removeprefix("http://")]}) as server,
        ):
            start = time.time()
            with ThreadPoolExecutor(len(COLOURS)) as pool:
                for line in COLOURS:
                    pool.submit(run_line, line, home / "parts", gateway.url)
            draw(server, start, time.time(), target)


def run_line(line: str, parts: Path, url: str) -> None:
    """Send parts until the time is over."""
    rng = np.random.default_rng(sum(line.encode()))
    good = cycle(rng.permutation(sorted(parts.glob("*/test/good/*"))))
    folders = sorted(parts.glob("*/test/*/*"))
    bad = cycle(rng.permutation([f for f in folders if f.parent.name != "good"]))
    begun = time.monotonic()
    with httpx.Client(base_url=url, timeout=60) as client:
        while (elapsed := (time.monotonic() - begun) / SECONDS) < 1:
            spoilt = line == "mill" and elapsed > 2 / 3 and rng.random() < 0.25
            image = Image.open(next(bad if spoilt else good)).convert("RGB")
            if line == "press" and elapsed > 1 / 3:
                image = dirty(image, elapsed - 1 / 3)
            if line == "oven" and elapsed > 2 / 3:
                image = unknown(rng, image.size)
            file = BytesIO()
            image.save(file, "PNG")
            client.post("/v1/inspect", files=[("image", file.getvalue())], params={"line": line})
            time.sleep(PAUSE_S)


def dirty(image: Image.Image, amount: float) -> Image.Image:
    """Seen through a film of oil."""
    return Image.blend(image, image.filter(ImageFilter.GaussianBlur(2)), amount)


def unknown(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A product of stripes in all colours."""
    stripes = rng.integers(0, 256, (1, 12, 3), np.uint8)
    return Image.fromarray(stripes).resize(size, Image.Resampling.NEAREST)


def draw(server: Prometheus, start: float, end: float, target: Path) -> None:
    """The panels, each from the queries of its dashboard."""
    figure = Figure(figsize=(12, 10), layout="constrained")
    for axis, (dashboard, title) in zip(figure.subplots(3, 2).flat, PANELS, strict=True):
        panel = panel_of(dashboard, title)
        for target_query in panel["targets"]:
            draw_query(axis, server, target_query, start, end)
        axis.set_title(f"{title}  ({dashboard})", loc="left", fontsize=11)
        axis.set_xlim(0, end - start)
        axis.set_ylim(bottom=0)
        axis.set_xlabel("seconds")
        for share in (1 / 3, 2 / 3):
            axis.axvline(share * SECONDS, color="0.75", linewidth=0.8, zorder=0)
        if title == "Drift":
            axis.axhline(1, color="crimson", linewidth=0.8)
        axis.legend(fontsize=8, loc="best")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=90)


def panel_of(dashboard: str, title: str) -> dict[str, Any]:
    """A panel by its title."""
    file = ROOT / "docker" / "grafana" / "dashboards" / f"{dashboard}.json"
    (panel,) = (p for p in json.loads(file.read_text())["panels"] if p["title"] == title)
    return dict(panel)


def draw_query(
    axis: Axes, server: Prometheus, query: dict[str, str], start: float, end: float
) -> None:
    """One curve for each series of a query."""
    expression, name = query["expr"], query["legendFormat"]
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    for series in server.query_range(expression, start, end, 1):
        labels = series["metric"]
        label = name
        for key, value in labels.items():
            label = label.replace(f"{{{{{key}}}}}", value)
        if label.startswith("none of"):
            continue
        times, values = np.array(series["values"], float).T
        style = {"color": COLOURS[labels["line"]]} if labels.get("line") in COLOURS else {}
        dashed = "--" if label.startswith("bound") else "-"
        axis.plot(times - start, values, dashed, linewidth=1.4, label=label, **style)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
