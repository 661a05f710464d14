"""Whether a run keeps its promise: normal images divided again and again at random.

    python -m bench.promise RUN

Of the parts that a run was trained on four fifths are references and calibrate, and of each of the
others an image is inspected as a new one. It has the map that it has beside all other parts. Prints
false alarms in %, as their mean over the divisions, with the spread, and those of the product that
has most on average.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import typer
from torch import Tensor

from onegauge.training.checkpoint import Checkpoint, load
from onegauge.training.gauge.alignments import aligned_maps
from onegauge.training.gauge.evidence import Evidence
from onegauge.training.gauge.gauge import build_gauge, look_of

INSPECTED = 0.2  # of the parts
RATES = (0.05, 0.01)


def main(run: Path, divisions: int = 50) -> None:
    """Divide, and print a line for each rate."""
    checkpoint = load(run)
    for rate in RATES:
        found = [flagged(checkpoint, rate, seed) for seed in range(divisions)]
        overall = np.array([100 * flags.mean() for flags, _ in found])
        products = sorted({product for _, names in found for product in names})
        worst = max((_of_product(found, name), name) for name in products)
        sys.stdout.write(
            f"promised {100 * rate:g}: {overall.mean():.2f} ± {overall.std():.2f}, "
            f"worst product {worst[0]:.2f} ({worst[1]})\n"
        )


def flagged(checkpoint: Checkpoint, rate: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of images that did not calibrate, whether each is anomalous (n,), and its product (n,)."""
    evidence = checkpoint.evidence
    parts = evidence.parts.numpy()
    order = np.random.default_rng(seed).permutation(np.unique(parts))
    inspected = torch.from_numpy(np.isin(parts, order[: round(INSPECTED * len(order))]))  # (T,)
    known, held_out, new = (
        rows[inspected[rows] == chosen]
        for rows, chosen in (
            (evidence.references, False),
            (evidence.held_out, False),
            (beside_other_parts(evidence), True),
        )
    )
    part: Evidence = replace(evidence, references=known, held_out=held_out)
    config = replace(checkpoint.config, false_alarm_rate=rate)
    gauge = build_gauge(config, checkpoint.backbone, checkpoint.detector, part)
    with torch.inference_mode():
        look = look_of(part, new, gauge.retrieval)
        products = part.products_of(new)
        maps = aligned_maps(gauge.alignment, part.maps[new], look, products)
        scores = gauge.calibration(gauge.scoring(maps))
    return (scores >= 1).numpy(), np.array(products)


def beside_other_parts(evidence: Evidence) -> Tensor:
    """A row for each part, of an image that is scored without its part.

    That is the reference itself where it is alone. It is compared with those around it in a
    sequence, as what calibrates is not.
    """
    parts, held_out = evidence.parts, evidence.held_out
    shown, of_each, images = parts[evidence.references].unique(
        return_inverse=True, return_counts=True
    )
    alone = torch.isin(parts[held_out], shown[images == 1])
    return torch.cat([evidence.references[images[of_each] == 1], held_out[~alone]])


def _of_product(found: list[tuple[np.ndarray, np.ndarray]], name: str) -> float:
    """False alarms of one product in %, over all divisions."""
    return 100 * float(np.concatenate([flags[names == name] for flags, names in found]).mean())


if __name__ == "__main__":
    typer.run(main)
