"""Choosing a coreset of 10,000 among a million patches: time and memory.

    python -m bench.coreset

Beside the greedy choice one by one, on as many patches as that does in bearable time; both choose
the same.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import torch
import typer
from torch import Tensor

from bench.support.figures import keep
from onegauge.training.detectors.coreset import farthest_points
from onegauge.training.detectors.patchcore import PROJECTION
from onegauge.training.progress import Progress

CLUSTERS = 4_000  # neighbouring patches are much alike
POINTS, FEW = 1_000_000, 80_000
WANTED = 10_000


def main() -> None:
    """Measure both, print, keep the figures."""
    torch.manual_seed(0)
    some = patches(FEW)
    one_by_one, first = timed(lambda: greedy(some, WANTED // 10))
    together, second = timed(lambda: chosen(some, WANTED // 10))
    same = len(set(first.tolist()) & set(second.tolist())) / len(first)
    seconds, _ = timed(lambda: chosen(patches(POINTS), WANTED))
    figures = {
        "seconds": round(seconds, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "times_as_fast_as_one_by_one": round(one_by_one / together, 1),
        "same_choices": same,
    }
    sys.stdout.write("  ".join(f"{k} {v}" for k, v in figures.items()) + "\n")
    keep(f"coreset of {WANTED} among {POINTS}", figures)


def patches(count: int) -> Tensor:
    """Random projections (P, A) of patches as they are: many of a kind, each a little different."""
    centres = torch.randn(CLUSTERS, PROJECTION)
    return centres[torch.randint(CLUSTERS, (count,))] + 0.3 * torch.randn(count, PROJECTION)


def chosen(points: Tensor, wanted: int) -> Tensor:
    """As training chooses."""
    return farthest_points(points, wanted, Progress())


def greedy(points: Tensor, wanted: int) -> Tensor:
    """Algorithm 1 of PatchCore's paper, word by word."""
    latest = int((points - points.mean(0)).square().sum(1).argmax())
    rows, nearest = [latest], torch.full((len(points),), torch.inf)
    while len(rows) < wanted:
        nearest = torch.minimum(nearest, (points - points[latest]).square().sum(1))
        latest = int(nearest.argmax())
        rows.append(latest)
    return torch.tensor(rows)


def timed(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds and result."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


if __name__ == "__main__":
    typer.run(main)
