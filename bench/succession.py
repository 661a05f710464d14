"""Products taught one after another, against all of them trained at once.

    python -m bench.succession DATA OUT

trains on the first product of DATA, a tree <product>/train and <product>/test, publishes that, and
adds the others one by one. Prints what each addition took and what it says, then one JSON object:
image AUROC of the last version and of a run of all images, pooled and as product mean; and
forgetting: the mean over products of a product's image AUROC right after it was added, less that
in the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from onegauge.export.export_run import export_run
from onegauge.teach.add import add
from onegauge.teach.target import target_of
from onegauge.training.choice import NO_CHOICE
from onegauge.training.config import TrainConfig
from onegauge.training.data.dataset import TestImage
from onegauge.training.data.dataset import test_images as labelled_images
from onegauge.training.evaluation.evaluate import figures_of
from onegauge.training.evaluation.published import evaluate_published
from onegauge.training.evaluation.run import Question, evaluate_run
from onegauge.training.progress import Progress
from onegauge.training.train import train

NAME, ALIGNMENT = "succession", "cada"
MEASURES = ("product_mean", "pooled")


def main(
    data: Path, out: Path, backbone: str = "starter", backbone_weights: Path | None = None
) -> None:
    """Run it all; the two trainings are not repeated where they are finished."""
    options = {"backbone": backbone, "backbone_weights": backbone_weights, "resume": True}
    images, repository = labelled_images(data), out / "repository"
    first, *others = sorted({image.product for image in images})
    for name, root in (("first", data / first), ("all", data)):
        train(TrainConfig(root, out / name, false_alarm_rate=0.05, **options))
    export_run(out / "first", repository, NAME)
    known, after = {first}, {first: figures(repository, [i for i in images if i.product == first])}
    for product in others:
        begun = time.monotonic()
        add(target_of(repository, NAME), data / product, None, NO_CHOICE)
        typer.echo(f"{product}: added in {time.monotonic() - begun:.0f} s")
        known.add(product)
        after[product] = figures(repository, [i for i in images if i.product == product])
    last = figures(repository, images)
    (subject,) = evaluate_run(out / "all", images, Question((ALIGNMENT,)), Progress())
    at_once = figures_of(subject, Progress())
    lost = [after[p]["pooled"]["image_auroc"] - _of(last, p) for p in known]
    told = {"one after another": summary(last), "at once": summary(at_once)}
    typer.echo(json.dumps(told | {"forgetting": sum(lost) / len(lost)}, indent=1))


def figures(repository: Path, images: Sequence[TestImage]) -> dict[str, Any]:
    """What the served version says of labelled images."""
    return figures_of(evaluate_published(repository / NAME, images, Progress()), Progress())


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Image AUROC, and errors at each rate."""
    return {over: found[over]["image_auroc"] for over in MEASURES} | {"rates": found["at_rates"]}


def _of(found: dict[str, Any], product: str) -> float:
    return float(found["per_product"][product]["image_auroc"])


if __name__ == "__main__":
    typer.run(main)
