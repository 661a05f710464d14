"""Locally aware patches of an image (Roth et al., CVPR 2022, section 3.1): 3×3 means of all stages.

A mean of neighbours and a change of size are linear along the rows, and again along the columns.
So both are one matrix from either side, which every runtime multiplies many times faster than it
pools.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onegauge.library.views import bilinear


def local_patches(stages: list[Tensor]) -> Tensor:
    """Patches (B, h, w, D) of stages [(B, C, H, W), …], concatenated, beyond the border zeros.

    At the resolution of the last stage but one, to which finer ones are averaged.
    """
    size = stages[-2:][0].shape[-2:]
    return torch.cat([_at(stage, size) for stage in stages], 1).permute(0, 2, 3, 1)


def _at(stage: Tensor, size: torch.Size) -> Tensor:
    """3×3 means of a stage (B, C, H, W) at another size."""
    rows, columns = (
        torch.from_numpy(_means(old, new)).to(stage)
        for old, new in zip(stage.shape[-2:], size, strict=True)
    )
    return rows @ stage @ columns.mT


@cache
def _means(old: int, new: int) -> NDArray[np.float32]:
    """The weights (new, old) of a line's pixels in means of three of them, resampled."""
    apart = np.arange(old)[:, None] - np.arange(old)
    means = (abs(apart) <= 1) / 3
    if old > new:
        step = old // new
        means = means[: old // step * step].reshape(-1, step, old).mean(1)
    return np.asarray(bilinear(len(means), new) @ means, np.float32)
