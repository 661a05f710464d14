"""Write the report of a run: one page for people, and its plots and numbers as files beside it.

OUT/report.html    everything, in one file that needs no other
OUT/*.png          the plots
OUT/scores.csv     one row an image
OUT/products.csv   one row a product, the worst first
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from onegauge.training.data.dataset import TestImage
from onegauge.training.errors import DataError
from onegauge.training.evaluation.evaluate import figures_of, subjects
from onegauge.training.evaluation.readings import Readings, Subject
from onegauge.training.evaluation.run import Question
from onegauge.training.progress import Progress
from onegauge.training.report import gallery
from onegauge.training.report.curves import draw_p_values, draw_roc, draw_trade_off
from onegauge.training.report.distributions import draw_distributions
from onegauge.training.report.headline import headline
from onegauge.training.report.page import Page, render
from onegauge.training.report.plots import Plot, keep
from onegauge.training.report.scale import THRESHOLD
from onegauge.training.report.tables import (
    PRODUCTS,
    SCORES,
    product_rows,
    score_rows,
    worst_first,
    write_csv,
)

TYPICAL_PRODUCTS = 60  # shown, so that the page remains small enough to be sent


def report(target: str, images: Sequence[TestImage], question: Question, out: Path) -> Path:
    """Ask a run or a published model about labelled images, write its report, return the page.

    Raises DataError where the threshold is not at score 1.0, as of a gateway that moved it.
    """
    progress = Progress()
    *_, subject = subjects(target, images, question, progress)  # of a run its own, after none
    if subject.threshold != THRESHOLD:
        raise DataError(
            f"{target} decides at score {subject.threshold:g}: a report is of decisions at "
            f"{THRESHOLD:g}; report the model that it serves"
        )
    return write_report(subject, figures_of(subject, progress), out)


def write_report(subject: Subject, figures: Mapping[str, Any], out: Path) -> Path:
    """Write the report into the folder `out` and return the page's path.

    `figures` are `evaluate.figures_of` the subject. An image whose file is gone
    is shown without its picture. Raises OSError where `out` cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    readings = subject.readings
    products = worst_first(figures["per_product"])
    page = Page(
        headline=headline(figures),
        figures=figures,
        products=products,
        distributions=_distributions(readings, products, out),
        curves=tuple(_curves(subject, figures, out)),
        errors=(gallery.worst_false_alarms(readings), gallery.worst_misses(readings)),
        hard=(gallery.on_the_edge(readings), gallery.most_novel(readings)),
        typical=gallery.typical(readings, products[:TYPICAL_PRODUCTS]),
        card={"model": subject.name, **subject.card},
    )
    write_csv(out / "scores.csv", SCORES, score_rows(readings))
    write_csv(out / "products.csv", PRODUCTS, product_rows(figures["per_product"]))
    file = out / "report.html"
    file.write_text(render(page), encoding="utf-8", errors="replace")
    return file


def _distributions(readings: Readings, products: Sequence[str], out: Path) -> Plot:
    return Plot(
        "Scores before and after alignment",
        "Each point is a test image. One threshold can serve all products only where their normal "
        "images score alike: after alignment the medians of the normal images should stand below "
        "each other, left of the threshold, and the anomalous images right of it.",
        keep(lambda: draw_distributions(readings, products), out / "distributions.png"),
    )


def _curves(subject: Subject, figures: Mapping[str, Any], out: Path) -> Iterator[Plot]:
    """The curves that these images allow: one needs both kinds, another normal images."""
    readings, alpha, calibration = subject.readings, subject.alpha, subject.calibration_images
    if len(set(readings.anomalous.tolist())) == 2:
        yield Plot(
            "ROC, all products pooled",
            "Up and to the left is better. What lies between the curves is what alignment brings.",
            keep(lambda: draw_roc(readings), out / "roc.png"),
        )
    yield Plot(
        "What another threshold would do",
        "To the right there are fewer false alarms and more misses, to the left it is the other "
        "way round.",
        keep(lambda: draw_trade_off(readings, alpha), out / "trade_off.png"),
    )
    if calibration is not None and (distance := figures["p_values"].get("ks")) is not None:
        yield Plot(
            "Are p-values what they say?",
            "A share u of the normal images should have a p-value of at most u. Above the band "
            "there are more false alarms than promised, below it fewer. Largest distance "
            f"(Kolmogorov-Smirnov): {distance:.3f}.",
            keep(lambda: draw_p_values(readings, alpha, calibration), out / "p_values.png"),
        )
