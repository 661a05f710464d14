"""What an image shows place by place, so that the same place of similar images can be compared."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.backbones.features import Features
from onegauge.training.progress import Progress

GRID = 16  # places along each side
COMPONENTS = 16
SAMPLE = 300  # images in which the components are found
RANGE = 6.0  # standard deviations of the first component that int8 covers to either side


class Places(nn.Module):
    """The features of all stages on one grid, standardised and in their principal components.

    In units that survive rounding to int8, as `compact` does.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int) -> None:
        """Of `channels` in all stages together; all zero until `fit`."""
        super().__init__()
        self.register_buffer("weight", torch.zeros(min(COMPONENTS, channels), channels, 1, 1))
        self.register_buffer("bias", torch.zeros(min(COMPONENTS, channels)))

    @torch.inference_mode()
    def fit(self, features: Features) -> None:
        """Find the components in the features of normal images."""
        step = max(1, len(features) // SAMPLE)
        rows = range(0, len(features), step)
        cells = torch.cat([_on_grid(features.batch([row]).stages) for row in rows])  # (S, C, g, g)
        cells = cells.permute(0, 2, 3, 1).flatten(0, 2)  # (S·g·g, C)
        mean, scale = cells.mean(0), cells.std(0).clamp_min(1e-6)
        variances, directions = torch.linalg.eigh(torch.cov(((cells - mean) / scale).T))
        directions = directions.flip(1)[:, : len(self.bias)]  # the strongest first
        unit = 127 / (RANGE * variances[-1].clamp_min(1e-6).sqrt())
        weight = (unit * directions / scale[:, None]).T  # (Q, C)
        self.weight, self.bias = weight[..., None, None].clone(), (-weight @ mean).clone()

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features [(B, C, H, W), …] → components of every place (B, Q, g, g)."""
        return F.conv2d(_on_grid(features), self.weight, self.bias)

    @torch.inference_mode()
    def compact(self, features: Features, progress: Progress) -> Tensor:
        """The places of all images of a store, rounded: int8 (N, Q, g, g)."""
        places = []
        with progress.step("places", len(features)) as step:
            for rows, seen in features.batches():
                rounded = self(seen.stages).round().clamp(-127, 127)
                places.append(rounded.to(torch.int8).cpu())
                step.advance(rows.stop - rows.start)
        return torch.cat(places)


def _on_grid(features: list[Tensor]) -> Tensor:
    """All stages at the resolution of the grid, (B, ΣC, g, g)."""
    return torch.cat([_resized(f) for f in features], dim=1)


def _resized(stage: Tensor) -> Tensor:
    """Means where a stage is finer than the grid, interpolated where that leaves a remainder."""
    stage = F.avg_pool2d(stage, max(1, stage.shape[-1] // GRID))
    return F.interpolate(stage, (GRID, GRID), mode="bilinear", align_corners=False)
