"""Training on all normal images of a line: anomalib's PatchCore, and our default detector.

    python -m bench.whole_line DATA WEIGHTS

DATA is a tree of products, WEIGHTS are those of a ResNet18. Each patch of anomalib's greedy coreset
takes a pass over all patches of all images: of a whole line 5,000 take hours. So its engine trains
as it is with two small banks, and what the larger one took longer, after the pass over the images
that both have, is the time of its further patches; the rest of the bank is extrapolated. Of ours it
is the whole command.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import typer

from bench.anomalib import OURS, link_images, train_anomalib, train_here
from bench.support.figures import keep
from onegauge.training.data.dataset import training_images

FEW, MORE, BANK = 10, 60, 5_000


def main(data: Path, weights: Path) -> None:
    """Train, print and keep the figures."""
    data, weights = data.resolve(), weights.resolve()
    files = training_images(data)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        epoch, few = by_anomalib(home / "few", files, weights, FEW)
        _, more = by_anomalib(home / "more", files, weights, MORE)
        link_images(home / "here", files, data)
        here = train_here(home, OURS, weights, [])
    there = epoch + extrapolated(few, more)
    figures = {
        "training images": len(files),
        "bank": BANK,
        "anomalib's pass over the images, s": round(epoch, 1),
        "anomalib, s for another patch": round((more - few) / (MORE - FEW), 3),
        "anomalib trains, extrapolated, s": round(there),
        f"onegauge {OURS} trains, s": round(here, 1),
        "of_anomalib": round(there / here, 1),
    }
    sys.stdout.write("\n".join(f"{what}: {told}" for what, told in figures.items()) + "\n")
    keep("whole_line", figures)


def by_anomalib(home: Path, files: list[Path], weights: Path, bank: int) -> tuple[float, float]:
    """Seconds of its pass over the images, and of all that comes after: the coreset."""
    told = train_anomalib(home, "patchcore", files, weights, 1, bank)
    epoch = len(files) / told["epoch_images_per_s"]
    return epoch, told["seconds"] - epoch


def extrapolated(few: float, more: float) -> float:
    """Seconds that BANK takes where FEW and MORE patches take so many: each takes the same."""
    return more + (BANK - MORE) * (more - few) / (MORE - FEW)


if __name__ == "__main__":
    typer.run(main)
