"""Whether a form holds on products that took no part in choosing it: lines of some products alone.

    python -m bench.products RUN DATA

deals the products of a RUN of the default form at random into folds, which are left out in turn.
The others are one line then, and those left out another, so that what is chosen on the one is
judged on the other. A line knows the normal images of its products alone, as `onegauge remove`
would leave them; only the axes of patches stay those of all products. Prints a row for each line
and alignment, in %: image AUROC as product mean and pooled, and false alarms / misses at each
promised rate; then the means over the lines of either kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import typer

from onegauge.training.checkpoint import Checkpoint, load
from onegauge.training.data.dataset import TestImage
from onegauge.training.data.dataset import test_images as labelled_images
from onegauge.training.evaluation.false_alarms import RATES, at_rates
from onegauge.training.evaluation.metrics import all_metrics
from onegauge.training.evaluation.run import align, detect
from onegauge.training.gauge.gauge import build_gauge
from onegauge.training.progress import Progress

CPU = torch.device("cpu")
ALIGNMENTS = "none", "class-aware", "cada"
KINDS = "all but", "only"


def main(run: Path, data: Path, folds: int = 5) -> None:
    """Print the table."""
    whole, images = load(run), labelled_images(data)
    row("Line", "Alignment", "AUROC", *(f"{100 * rate:g} %" for rate in RATES))
    row(*["---"] * (3 + len(RATES)))
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for left_out, others in divisions(sorted({i.product for i in images}), folds):
        for kind, line in zip(KINDS, (others, left_out), strict=True):
            for name, figures in measured(knowing(whole, line), images):
                row(f"{kind} {', '.join(left_out)}", name, *pairs(figures))
                found.setdefault((kind, name), []).append(figures)
    for (kind, name), of_lines in found.items():
        row(f"mean, {kind}", name, *pairs(np.mean(of_lines, axis=0)))


def divisions(
    products: Sequence[str], folds: int
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The products of each fold, and all others."""
    order = np.random.default_rng(0).permutation(len(products))
    for fold in range(folds):
        left_out = {products[place] for place in order[fold::folds]}
        yield tuple(sorted(left_out)), tuple(p for p in products if p not in left_out)


def knowing(whole: Checkpoint, products: Sequence[str]) -> Checkpoint:
    """The run without the normal images of all other products."""
    library = whole.library()
    others = ~np.isin(library.products, products)
    line = whole.with_library(library.without(np.unique(library.pictures[others])))
    gauge = build_gauge(line.config, line.backbone, line.detector, line.evidence)
    return replace(line, decided=gauge.decided)


def measured(line: Checkpoint, images: Iterable[TestImage]) -> Iterator[tuple[str, np.ndarray]]:
    """Each alignment with its figures in %, of the images whose products the line knows.

    They are image AUROC as product mean and pooled, and both errors at each of RATES.
    """
    known = [image for image in images if image.product in line.evidence.products]
    detected = detect(line, known, CPU, Progress())
    for name in ALIGNMENTS:
        said = align(line, detected, name, RATES[0])
        labels = said.anomalous, said.products
        ranks = all_metrics(said.score, *labels, threshold=1, alpha=RATES[0])
        errors = at_rates(said.p_value, *labels).values()
        auroc = [ranks[over]["image_auroc"] for over in ("product_mean", "pooled")]
        rates = [at[rate] for at in errors for rate in ("false_alarm_rate", "miss_rate")]
        yield name, 100 * np.array([*auroc, *rates])


def pairs(figures: np.ndarray) -> list[str]:
    """Cells of two figures each."""
    return [f"{one:.1f} / {other:.1f}" for one, other in figures.reshape(-1, 2)]


def row(*cells: str) -> None:
    """Print a row of the table."""
    typer.echo(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    typer.run(main)
