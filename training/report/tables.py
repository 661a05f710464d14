"""The report's numbers as rows: of every image, and of every product with the worst first."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from onegauge.training.evaluation.metrics import IMAGE_METRICS
from onegauge.training.evaluation.pixels import PIXEL_METRICS
from onegauge.training.evaluation.readings import Readings
from onegauge.training.report.scale import THRESHOLD

SCORES = (
    *("path", "product", "defect", "anomalous"),
    *("raw_score", "score", "p_value", "novelty", "decision"),
)
PRODUCTS = (
    *("product", "normal", "anomalous", *IMAGE_METRICS, *PIXEL_METRICS),
    *("false_alarm_rate", "false_alarm_low", "false_alarm_high"),
    *("miss_rate", "miss_low", "miss_high"),
)


def worst_first(per_product: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Products by the mean of false-alarm and miss rate, the highest first."""

    def wrong(name: str) -> float:
        row = per_product[name]
        return fmean(row[rate] for rate in ("false_alarm_rate", "miss_rate") if rate in row)

    return sorted(per_product, key=wrong, reverse=True)


def score_rows(readings: Readings) -> Iterator[tuple[object, ...]]:
    """One row an image, in the columns `SCORES`."""
    numbers = (readings.raw_score, readings.score, readings.p_value, readings.novelty)
    for image, *values in zip(readings.images, *numbers, strict=True):
        decision = "anomalous" if values[1] >= THRESHOLD else "normal"
        kind = image.path, image.product, image.defect, int(image.anomalous)
        yield *kind, *map(str, values), decision


def product_rows(per_product: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    """One row a product, the worst first, in the columns `PRODUCTS`; empty where it has none."""
    for name in worst_first(per_product):
        row = {"product": name, **per_product[name]}
        for error in ("false_alarm", "miss"):
            row[f"{error}_low"], row[f"{error}_high"] = row.get(f"{error}_interval", ("", ""))
        yield tuple(row.get(column, "") for column in PRODUCTS)


def write_csv(file: Path, columns: Sequence[str], rows: Iterator[tuple[object, ...]]) -> None:
    """Write rows below their columns' names, UTF-8; bytes that are no Unicode as escapes."""
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
