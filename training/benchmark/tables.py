"""Tables of results in Markdown: one row a detector and alignment, over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import mean, stdev
from typing import Any

from onegauge.training.benchmark.results import Result
from onegauge.training.evaluation.false_alarms import RATES

Column = Callable[[dict[str, Any]], float | None]

AUROC: dict[str, Column] = {
    "product mean": lambda f: f["product_mean"].get("image_auroc"),
    "pooled": lambda f: f["pooled"].get("image_auroc"),
    "AP pooled": lambda f: f["pooled"].get("image_ap"),
    "F1-max pooled": lambda f: f["pooled"].get("image_f1_max"),
    "pixel mean": lambda f: f["product_mean"].get("pixel_auroc"),
    "pixel pooled": lambda f: f["pooled"].get("pixel_auroc"),
    "AUPRO mean": lambda f: f["product_mean"].get("aupro"),
    "AUPRO pooled": lambda f: f["pooled"].get("aupro"),
}


def tables(results: Sequence[Result]) -> str:
    """Ranking metrics, then the errors at each promised rate; all in %, mean ± deviation."""
    parts = ["## Ranking: image AUROC, and by pixel", *_table(results, AUROC)]
    for rate in RATES:
        parts += ["", f"## One threshold for a false-alarm rate of {100 * rate:g} %"]
        parts += _table(results, _at(f"{rate:g}"))
    return "\n".join(parts) + "\n"


def _at(rate: str) -> dict[str, Column]:
    """The columns of the errors at the threshold for this rate."""

    def worst(figures: dict[str, Any], name: str) -> float | None:
        return figures["at_rates"][rate]["worst_product"].get(name)

    return {
        "false alarms": lambda f: f["at_rates"][rate].get("false_alarm_rate"),
        "of the worst product": lambda f: worst(f, "false_alarm_rate"),
        "misses": lambda f: f["at_rates"][rate].get("miss_rate"),
        "misses of the worst product": lambda f: worst(f, "miss_rate"),
        "KS of p-values": lambda f: f["p_values"].get("ks"),
    }


def _table(results: Sequence[Result], columns: dict[str, Column]) -> Iterator[str]:
    yield ""
    yield f"| Detector | Backbone | Alignment | Seeds | {' | '.join(columns)} |"
    yield "|---|---|---|---|" + "---|" * len(columns)
    rows: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        where = result.detector, f"{result.backbone}, {result.image_size}²", result.alignment
        rows.setdefault(where, []).append(result)
    for where, same in rows.items():
        cells = (_cell([column(r.figures) for r in same]) for column in columns.values())
        yield f"| {' | '.join(where)} | {len(same)} | {' | '.join(cells)} |"


def _cell(values: Sequence[float | None]) -> str:
    """In %; a dash where the data set does not have what the metric needs."""
    known = [100 * value for value in values if value is not None]
    if not known:
        return "-"
    deviation = f" ± {stdev(known):.1f}" if len(known) > 1 else ""
    return f"{mean(known):.1f}{deviation}"
