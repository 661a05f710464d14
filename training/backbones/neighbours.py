"""Nearest neighbours among embeddings, in a form that exports."""

from __future__ import annotations

from torch import Tensor

from onegauge.training.errors import DataError


def distances(queries: Tensor, bank: Tensor) -> Tensor:
    """Euclidean distances (B, N) between the rows of (B, E) and (N, E)."""
    squared = (queries**2).sum(1, keepdim=True) - 2 * queries @ bank.T + (bank**2).sum(1)
    return squared.clamp_min(0).sqrt()


def comparable(groups: Tensor, wanted: int) -> int:
    """How many rows, `wanted` at most, there are beside those of any one of the groups (N,).

    Raises DataError where there are fewer than two, of which no spread can be told.
    """
    _, sizes = groups.unique(return_counts=True)
    others = len(groups) - int(sizes.max())
    if others < 2:
        raise DataError(
            f"{int(sizes.max())} of the {len(groups)} images to compare with are of one part, so "
            "that too few others are left: train on more parts, or raise --references"
        )
    return min(wanted, others)
