"""What becomes of the promises where the training images are not as they should be.

    python -m bench.robustness DATA OUT --backbone resnet18 --backbone-weights FILE

trains on DATA, a tree <product>/train and <product>/test, as it is; then with defective test images
among the training images, which are left out of the test; then once for each product with RARE
images of it only. Each is tested on all other test images at the false-alarm rates 0.01 and 0.05.
For novelty, each product in turn is left out of what the first run has learnt: the backbone is
frozen, so nothing is trained anew. Prints one JSON object a study.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from sklearn.metrics import roc_auc_score
from torch import Tensor

from onegauge.library.likeness import neighbours_of
from onegauge.training.backbones.retrieval import NEW, Retrieval
from onegauge.training.checkpoint import Checkpoint
from onegauge.training.config import TrainConfig
from onegauge.training.data.dataset import TestImage, training_images
from onegauge.training.data.dataset import test_images as labelled_images
from onegauge.training.evaluation.evaluate import figures_of
from onegauge.training.evaluation.run import Question, detect, evaluate_run
from onegauge.training.gauge.novelty import Novelty
from onegauge.training.progress import Progress
from onegauge.training.train import train

RARE = 5  # images of the rare product
CONTAMINATED = 0.02  # of the training images are in fact defective
CPU = torch.device("cpu")


def main(
    data: Path,
    out: Path,
    backbone: str = "starter",
    backbone_weights: Path | None = None,
) -> None:
    """Run all studies; a study whose run is finished is evaluated again only."""
    images, trained = labelled_images(data), training_images(data)
    options = {"backbone": backbone, "backbone_weights": backbone_weights, "resume": True}
    options["include"] = ("*",)  # defective images, too, which have names of defects

    def study(name: str, training: Iterable[Path], tested: list[TestImage]) -> Checkpoint:
        folder = out / name
        linked(training, data, folder / "images")
        config = TrainConfig(folder / "images", folder / "run", false_alarm_rate=0.05, **options)
        checkpoint = train(config)
        told(name, rates(folder / "run", tested))
        return checkpoint

    whole = study("as it is", trained, images)
    told("novelty", dict(novelty(whole, images)))
    rng = np.random.default_rng(0)
    defective = [image for image in images if image.anomalous]
    drawn = rng.permutation(len(defective))[: round(CONTAMINATED * len(trained))]
    bad = {defective[row].path for row in drawn}
    study("contaminated", [*trained, *bad], [i for i in images if i.path not in bad])
    for product in sorted({image.product for image in images}):
        own = [path for path in trained if path.relative_to(data).parts[0] == product]
        left_out = {own[row] for row in rng.permutation(len(own))[RARE:]}
        study(f"rare {product}", [path for path in trained if path not in left_out], images)


def linked(images: Iterable[Path], root: Path, folder: Path) -> None:
    """Links to the images, each in the folder of its product."""
    for image in images:
        product, *rest = image.relative_to(root).parts
        link = folder / product / "-".join(rest)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(image.resolve())


def rates(run: Path, images: list[TestImage]) -> dict[str, Any]:
    """Errors at each promised rate, overall and of each product, and AUROC."""
    (subject,) = evaluate_run(run, images, Question(("cada",), device="cpu"), Progress())
    figures = figures_of(subject, Progress())
    readings = subject.readings
    normal = ~readings.anomalous
    products = np.array(readings.products)
    of_each = {
        product: [
            float((readings.p_value[(products == product) & normal] <= alpha).mean())
            for alpha in (0.01, 0.05)
        ]
        for product in sorted(set(readings.products))
    }
    return {
        "image_auroc": [figures[over]["image_auroc"] for over in ("product_mean", "pooled")],
        "at_rates": figures["at_rates"],
        "false alarms of each": of_each,
        "ks": figures["p_values"]["ks"],
    }


def novelty(whole: Checkpoint, images: list[TestImage]) -> Iterable[tuple[str, dict[str, float]]]:
    """Of each product that training would not know: AUROC, and how many of which are flagged."""
    detected = detect(whole, images, CPU, Progress())
    normal = np.array([not image.anomalous for image in detected.images])
    products = np.array([image.product for image in detected.images])
    evidence = whole.evidence
    trained, references = np.array(evidence.products), evidence.references
    retrieval = Retrieval(evidence.deviations[references], evidence.groups[references])
    anew = torch.tensor([NEW]).expand(len(detected.quarters), 2)
    for product in sorted(set(products)):
        others = torch.from_numpy(trained != product)
        known, held_out = (r[others[r]] for r in (references, evidence.held_out))
        groups, bank = evidence.groups[known], retrieval.references[others[references]]

        def near(
            embedding: Tensor, own: Tensor, bank: Tensor = bank, groups: Tensor = groups
        ) -> Tensor:
            parts = (part.numpy() for part in (embedding, bank, groups, own))
            return torch.from_numpy(neighbours_of(*parts).rows)

        measure = Novelty(evidence.quarters[known], groups, near(bank, evidence.own[known]))
        with torch.no_grad():
            own = evidence.own[held_out]
            rows = near(retrieval.embedding(evidence.deviations[held_out]), own)
            distances = measure(evidence.quarters[held_out], rows, own)
            measure.calibrate(distances, whole.config.novelty_rate, evidence.pictures[held_out])
            value = measure(detected.quarters, near(detected.embedding, anew), anew).numpy()
        new = products == product
        yield (
            product,
            {
                "auroc": float(roc_auc_score(new[normal], value[normal])),
                "new, flagged": float((value[normal & new] >= 1).mean()),
                "known normal, flagged": float((value[normal & ~new] >= 1).mean()),
                "known anomalous, flagged": float((value[~normal & ~new] >= 1).mean()),
            },
        )


def told(name: str, figures: dict[str, Any]) -> None:
    """Print one study."""
    typer.echo(json.dumps({name: figures}, indent=1))


if __name__ == "__main__":
    typer.run(main)
