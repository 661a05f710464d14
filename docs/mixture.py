"""Draw docs/images/mixture.png: two products that no threshold separates until they are aligned.

    python docs/mixture.py docs/images/mixture.png

The setting of figure 3 of Guo et al., arXiv 2404.00724, with anomaly maps drawn at random: scores
of one product are low and close together, those of the other high and far apart, so that normal
images of the second score above anomalous ones of the first. `cada` is told no product.
"""

import sys
from pathlib import Path

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from torch import Tensor

from onegauge.training.backbones.neighbours import distances
from onegauge.training.backbones.retrieval import nearest
from onegauge.training.gauge.alignments import ALIGNMENTS, Look, References
from onegauge.training.gauge.scoring import Scoring
from onegauge.training.report.plots import ANOMALOUS, DOTS_PER_INCH, INK, NORMAL, STYLE

LOCATION, SCALE = torch.tensor([1.0, 4.0]), torch.tensor([0.15, 1.0])  # of the two products
DEFECT = 8.0  # height in units of its product's scale
IMAGES = 400  # references, and test images of which half are anomalous
SHARE = 0.02


def main(out: Path) -> None:
    """Draw raw and aligned image scores side by side."""
    torch.manual_seed(0)
    maps, known, product = images()
    scoring = Scoring(SHARE)
    among = nearest(distances(known, known).fill_diagonal_(torch.inf))
    references = References(maps, Look(known, among), product, scoring)
    maps, embedding, _ = images()
    look = Look(embedding, nearest(distances(embedding, known)))
    anomalous = torch.arange(IMAGES) >= IMAGES // 2
    of = torch.arange(IMAGES) % 2
    maps[anomalous, 4:8, 8:12] += DEFECT * SCALE[of[anomalous]].view(-1, 1, 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        for axes, name in zip(figure.subplots(1, 2), ("none", "cada"), strict=True):
            aligned = ALIGNMENTS[name](references)(maps, look).maps
            histogram(axes, name, scoring(aligned), anomalous)
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4
        )
        figure.savefig(out, dpi=DOTS_PER_INCH)


def images() -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Normal maps (N, 16, 16), embeddings by which the products differ, and the products."""
    product = torch.arange(IMAGES) % 2
    level = torch.randn(IMAGES, 1, 1)  # images differ as wholes too
    noise = level + 0.3 * torch.randn(IMAGES, 16, 16)
    embedding = torch.randn(IMAGES, 8)
    embedding[:, 0] += 10 * product
    maps = LOCATION[product].view(-1, 1, 1) + SCALE[product].view(-1, 1, 1) * noise
    return maps, embedding, tuple("ab"[p] for p in product)


def histogram(axes: Axes, name: str, scores: Tensor, anomalous: Tensor) -> None:
    """Scores of both products by what they are, and the best threshold for all."""
    edges = torch.linspace(float(scores.min()), float(scores.max()), 50).tolist()
    kinds = ((False, NORMAL, "normal"), (True, ANOMALOUS, "anomalous"))
    for product, hatch in enumerate((None, "////")):
        for kind, colour, word in kinds:
            rows = (anomalous == kind) & (torch.arange(len(scores)) % 2 == product)
            axes.hist(
                scores[rows].tolist(),
                edges,
                color=colour,
                alpha=0.75,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.3,
                label=f"{word}, product {product + 1}",
            )
    auroc = 100 * roc_auc_score(anomalous, scores)
    axes.set_title(f"{name}: pooled image AUROC {auroc:.1f} %", color=INK)
    axes.set_xlabel("image score")
    axes.set_ylabel("images")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
