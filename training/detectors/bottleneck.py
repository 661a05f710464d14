"""The trainable networks of reverse distillation: Deng and Li, "Anomaly Detection via Reverse
Distillation from One-Class Embedding" (CVPR 2022, RD4AD).

A one-class bottleneck fuses the stages of a backbone into one compact embedding, from which a
decoder, the backbone mirrored, restores every stage. What is anomalous does not pass, so that true
and restored features disagree there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.detectors.detector import cosine_distance, smooth
from onegauge.training.detectors.layers import BatchNorm
from onegauge.training.errors import ConfigError

PINCHED_DEPTHS = (3, 4, 6)  # pinched blocks of a mirrored ResNet50's stages, coarsest first

BlockKind = Callable[[int, int, int], nn.Module]  # channels in, channels out, stride


class Block(nn.Module):
    """ResNet's basic block; a stride of -2 doubles the resolution by a transposed convolution."""

    def __init__(
        self,
        cin: int,
        cout: int,
        stride: int = 1,
        activation: Callable[[Tensor], Tensor] = F.relu,
    ) -> None:
        super().__init__()
        self.conv1 = _resample(cin, cout, stride, kernel=3)
        self.bn1 = BatchNorm(cout)
        self.conv2 = _resample(cout, cout, 1, kernel=3)
        self.bn2 = BatchNorm(cout)
        self.shortcut = _shortcut(cin, cout, stride)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(B, cin, H, W) → (B, cout, H', W')."""
        y = self.activation(self.bn1(self.conv1(x)))
        return self.activation(self.bn2(self.conv2(y)) + self.shortcut(x))


class PinchedBlock(nn.Module):
    """ResNet's bottleneck block, `pinch` times narrower in the middle; strides as `Block` has them.

    The middle of a ResNet50's blocks is 4 times narrower than their ends, a WideResNet50-2's 2.
    """

    def __init__(
        self,
        cin: int,
        cout: int,
        stride: int = 1,
        activation: Callable[[Tensor], Tensor] = F.relu,
        *,
        pinch: int,
    ) -> None:
        super().__init__()
        width = cout // pinch
        self.conv1 = _resample(cin, width, 1, kernel=1)
        self.bn1 = BatchNorm(width)
        self.conv2 = _resample(width, width, stride, kernel=3)
        self.bn2 = BatchNorm(width)
        self.conv3 = _resample(width, cout, 1, kernel=1)
        self.bn3 = BatchNorm(cout)
        self.shortcut = _shortcut(cin, cout, stride)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(B, cin, H, W) → (B, cout, H', W')."""
        y = self.activation(self.bn1(self.conv1(x)))
        y = self.activation(self.bn2(self.conv2(y)))
        return self.activation(self.bn3(self.conv3(y)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """Multi-scale feature fusion and one-class embedding (the paper's figure 3b)."""

    def __init__(self, channels: Sequence[int], block: BlockKind = Block, blocks: int = 1) -> None:
        super().__init__()
        last = channels[-1]
        self.fusion = nn.ModuleList(
            _downsample(c, last, times=len(channels) - 1 - i) for i, c in enumerate(channels)
        )
        self.embedding = block(last * len(channels), 2 * last, 2)
        self.deeper = nn.Sequential(*(block(2 * last, 2 * last, 1) for _ in range(blocks - 1)))

    def forward(self, features: list[Tensor]) -> Tensor:
        """[(B, C, H, W), …] → (B, 2C, H', W') at half the resolution of the last stage."""
        same = [fuse(f) for fuse, f in zip(self.fusion, features, strict=True)]
        return self.deeper(self.embedding(torch.cat(same, dim=1)))


class Decoder(nn.Module):
    """The student: residual blocks that double the resolution from stage to stage."""

    def __init__(
        self,
        channels: Sequence[int],
        block: BlockKind = Block,
        blocks: Sequence[int] | None = None,
    ) -> None:
        """`blocks` are those of each stage, coarsest first; None is two each, as in a ResNet18."""
        super().__init__()
        widths = list(pairwise([2 * channels[-1], *reversed(channels)]))
        self.stages = nn.ModuleList(
            nn.Sequential(block(a, b, -2), *(block(b, b, 1) for _ in range(depth - 1)))
            for (a, b), depth in zip(widths, blocks or [2] * len(widths), strict=True)
        )

    def forward(self, embedding: Tensor) -> list[Tensor]:
        """The restored stages, finest first, as the backbone gives them."""
        restored: list[Tensor] = []
        for stage in self.stages:
            embedding = stage(embedding)
            restored.insert(0, embedding)
        return restored


def require_halving(backbone: Backbone, method: str) -> None:
    """Raise ConfigError unless the stages are such that these networks can restore them."""
    strides = backbone.strides
    if len(strides) < 2 or any(b != 2 * a for a, b in pairwise(strides)):
        raise ConfigError(
            f"{method} needs two or more stages, each half as fine as the one before, "
            f"not strides {tuple(strides)}: choose other --stages"
        )


def disagreement(true: Sequence[Tensor], restored: Sequence[Tensor], stride: int) -> Tensor:
    """Map (B, h, w): the sum of 1 - cosine over pairs of stages at the first's resolution.

    It is smoothed; `stride` is the first stage's.
    """
    size = true[0].shape[-2:]
    maps = [
        F.interpolate(cosine_distance(t, r), size, mode="bilinear", align_corners=False)
        for t, r in zip(true, restored, strict=True)
    ]
    return smooth(torch.stack(maps).sum(0), stride).squeeze(1)


def _downsample(channels: int, last: int, *, times: int) -> nn.Sequential:
    """3×3 stride-2 convolutions that bring a stage to the last stage's width and resolution."""
    layers: list[nn.Module] = []
    for step in range(times):
        width = last if step == times - 1 else 2 * channels
        layers += [
            nn.Conv2d(channels, width, 3, 2, 1, bias=False),
            BatchNorm(width),
            nn.ReLU(inplace=True),
        ]
        channels = width
    return nn.Sequential(*layers)


def _shortcut(cin: int, cout: int, stride: int) -> nn.Module:
    if stride == 1 and cin == cout:
        return nn.Identity()
    return nn.Sequential(_resample(cin, cout, stride, kernel=1), BatchNorm(cout))


def _resample(cin: int, cout: int, stride: int, *, kernel: int) -> nn.Module:
    if stride < 0:
        return nn.ConvTranspose2d(cin, cout, 2, 2, bias=False)
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)
