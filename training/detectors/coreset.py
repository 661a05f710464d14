"""Coresets: few points that stand for many, by greedy farthest-point sampling.

It is algorithm 1 of PatchCore's paper (Roth et al., CVPR 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor

from onegauge.training.progress import Progress

POINTS_AT_A_TIME, CHOICES_AT_A_TIME = 2**16, 1024  # bound the memory of the choice


def farthest_points(points: Tensor, wanted: int, progress: Progress) -> Tensor:
    """Greedy farthest-point sampling: indices of `wanted` rows.

    Starts at the row farthest from the mean, so that no random choice enters. The next choices
    are found together among the farthest points: as choices only bring points nearer, one of these
    is the farthest of all while it is farther than the farthest of the others was before.
    """
    if wanted >= len(points):
        return torch.arange(len(points), device=points.device)
    first = (points - points.mean(0)).square().sum(1).argmax()
    chosen = first.view(1)
    nearest = torch.full((len(points),), torch.inf, device=points.device)
    _approach(nearest, points, chosen)
    with progress.step("coreset", wanted) as step:
        step.advance()
        while len(chosen) < wanted:
            farthest = nearest.topk(min(CHOICES_AT_A_TIME + 1, len(points)))
            rows, bound = farthest.indices[:-1], float(farthest.values[-1])
            latest = rows[_greedy(points[rows], nearest[rows], bound, wanted - len(chosen))]
            _approach(nearest, points, latest)
            chosen = torch.cat([chosen, latest])
            step.advance(len(latest))
    return chosen


def _greedy(points: Tensor, nearest: Tensor, bound: float, wanted: int) -> list[int]:
    """The farthest of points (R, A), one by one, while they are no nearer than `bound`."""
    mutual = torch.cdist(points, points).square()  # (R, R)
    chosen: list[int] = []
    while len(chosen) < wanted:
        latest = int(nearest.argmax())
        if chosen and nearest[latest] < bound:
            break
        chosen.append(latest)
        nearest = torch.minimum(nearest, mutual[latest])
    return chosen


def _approach(nearest: Tensor, points: Tensor, chosen: Tensor) -> None:
    """Bring the squared distances (P,) of points (P, A) to what rows `chosen` leave, in place."""
    those = points[chosen]  # (K, A)
    own = those.square().sum(1)
    for start in range(0, len(points), POINTS_AT_A_TIME):
        rows = slice(start, start + POINTS_AT_A_TIME)
        some = points[rows]
        squared = torch.addmm(own, some, those.T, alpha=-2).amin(1) + some.square().sum(1)
        torch.minimum(nearest[rows], squared, out=nearest[rows])


def farthest_points_of_each(points: Tensor, wanted: int) -> Tensor:
    """Greedy farthest-point sampling in each of B sets of points (B, P, A): indices (B, M).

    M is `wanted`, or P where there are fewer. Starts at the point farthest from the mean, so that
    no random choice enters.
    """
    return torch.stack([_farthest_points_alone(each, wanted) for each in points])


def _farthest_points_alone(points: Tensor, wanted: int) -> Tensor:
    """The same in one set (P, A), which fits the processor's cache where many do not: (M,)."""
    norms = points.square().sum(1, keepdim=True)
    ones = torch.ones_like(norms)
    # |x - y|² as one product: (|x|², x, 1) · (1, -2 y, |y|²)
    asking = torch.cat([norms, points, ones], 1)
    answering = torch.cat([ones, -2 * points, norms], 1)
    latest = (points - points.mean(0)).square().sum(1).argmax()
    chosen, nearest = [latest], torch.full_like(norms[:, 0], torch.inf)
    for _ in range(min(wanted, len(points)) - 1):
        nearest = torch.minimum(nearest, asking @ answering[latest])
        latest = nearest.argmax()
        chosen.append(latest)
    return torch.stack(chosen)
