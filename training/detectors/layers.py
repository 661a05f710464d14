"""Layers that look at a batch as a whole, of which each of several processes has a part."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.distributed import rank, size, total


class BatchNorm(nn.BatchNorm2d):
    """Batch norm by the statistics of all processes, on CPUs as well; torch has it for GPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        if size() == 1 or not self.training:
            return super().forward(x)
        values = x.float()
        count = size() * values[:, 0].numel()
        mean = total(values.mean((0, 2, 3))) / size()  # (C,)
        centred = values - mean[:, None, None]
        variance = total(centred.square().sum((0, 2, 3))) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, as torch does."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class Dropout(nn.Dropout):
    """Dropout that is drawn for the batch of all processes at once."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, …) → (B, …)."""
        if not self.training or self.p == 0:
            return x
        if size() == 1:
            return super().forward(x.contiguous())  # an order of places in memory that all agree on
        return x * drawn(lambda whole: F.dropout(torch.ones_like(whole), self.p), x)


def drawn(draw: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """This process's part of what all draw alike for the whole batch, of the shape of x (B, …)."""
    whole = draw(x.new_empty(size() * x.shape[0], *x.shape[1:]))
    return whole.chunk(size())[rank()]
