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

from onegauge.training.choice import NO_CHOICE, Choice
from onegauge.training.errors import DataError
from onegauge.training.evaluation.evaluate import both_kinds, figures_of, subjects
from onegauge.training.evaluation.readings import Inspected
from onegauge.training.progress import Progress
from onegauge.training.report import gallery
from onegauge.training.report.curves import draw_p_values, draw_roc, draw_trade_off
from onegauge.training.report.distributions import draw_distributions
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
from onegauge.training.report.verdict import verdict

TYPICAL_PRODUCTS = 60  # shown, so that the page remains small enough to be sent


def report(
    target: str,
    data: Path,
    out: Path,
    device: str = "auto",
    false_alarm_rate: float | None = None,
    choice: Choice = NO_CHOICE,
) -> Path:
    """Ask a run or a published model about labelled images, write its report, return the page.

    `false_alarm_rate` moves the threshold of a run. Raises DataError where the threshold is not at
    score 1.0, as of a gateway that moved it.
    """
    progress = Progress()
    images = both_kinds(data, choice)
    asked = subjects(target, images, None, false_alarm_rate, device, progress)
    *_, subject = asked  # of a run its own alignment, after none
    if subject.threshold != THRESHOLD:
        raise DataError(
            f"{target} decides at score {subject.threshold:g}: a report is of decisions at "
            f"{THRESHOLD:g}; report the model that it serves"
        )
    card = {"model": subject.name, **subject.card}
    figures = figures_of(subject, progress)
    return write_report(subject.inspected, figures, card, out, alpha=subject.alpha)


def write_report(
    inspected: Inspected,
    figures: Mapping[str, Any],
    card: Mapping[str, str],
    out: Path,
    *,
    alpha: float,
) -> Path:
    """Write the report into the folder `out` and return the page's path.

    `figures` is `training.evaluation.metrics.report` of `inspected`, with the `uniformity` of the
    normal images' p-values as `p_values`. `card` are the rows of the model card, what names the
    model first; `alpha` is the promised false-alarm rate. An image whose file is gone is shown
    without its picture. Raises OSError where `out` cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    products = worst_first(figures["per_product"])
    page = Page(
        verdict=verdict(figures),
        figures=figures,
        products=products,
        distributions=_distributions(inspected, products, out),
        curves=tuple(_curves(inspected, figures, out, alpha)),
        errors=(gallery.worst_false_alarms(inspected), gallery.worst_misses(inspected)),
        hard=(gallery.on_the_edge(inspected), gallery.most_novel(inspected)),
        typical=gallery.typical(inspected, products[:TYPICAL_PRODUCTS]),
        card=card,
    )
    write_csv(out / "scores.csv", SCORES, score_rows(inspected))
    write_csv(out / "products.csv", PRODUCTS, product_rows(figures["per_product"]))
    file = out / "report.html"
    file.write_text(render(page), encoding="utf-8", errors="replace")
    return file


def _distributions(inspected: Inspected, products: Sequence[str], out: Path) -> Plot:
    return Plot(
        "Scores before and after alignment",
        "Each point is a test image. One threshold can serve all products only where their normal "
        "images score alike: after alignment the medians of the normal images should stand below "
        "each other, left of the threshold, and the anomalous images right of it.",
        keep(lambda: draw_distributions(inspected, products), out / "distributions.png"),
    )


def _curves(
    inspected: Inspected, figures: Mapping[str, Any], out: Path, alpha: float
) -> Iterator[Plot]:
    """The curves that these images allow: one needs both kinds, another normal images."""
    kinds = set(inspected.anomalous.tolist())
    if len(kinds) == 2:
        yield Plot(
            "ROC, all products pooled",
            "Up and to the left is better. What lies between the curves is what alignment brings.",
            keep(lambda: draw_roc(inspected), out / "roc.png"),
        )
    yield Plot(
        "What another threshold would do",
        "To the right there are fewer false alarms and more misses, to the left it is the other "
        "way round.",
        keep(lambda: draw_trade_off(inspected, alpha), out / "trade_off.png"),
    )
    if False in kinds:
        distance = f"{figures['p_values']['ks']:.3f}"
        yield Plot(
            "Are p-values what they say?",
            "A share u of the normal images should have a p-value of at most u. Above the band "
            "there are more false alarms than promised, below it fewer. Largest distance "
            f"(Kolmogorov-Smirnov): {distance}.",
            keep(lambda: draw_p_values(inspected, alpha), out / "p_values.png"),
        )
