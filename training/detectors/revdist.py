"""Reverse distillation: Deng and Li, "Anomaly Detection via Reverse Distillation from One-Class
Embedding" (CVPR 2022, RD4AD).

The frozen backbone is the teacher. A one-class bottleneck fuses its stages into one compact
embedding, from which a student decoder, the teacher mirrored, restores every stage. It learns
that on normal images only, so where an image is anomalous teacher and student disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.backbone import Backbone
from training.detectors.detector import Detector, FitOptions, smooth
from training.engine import Descent, minimise
from training.errors import ConfigError
from training.features import Features, Seen
from training.progress import Progress

LEARNING_RATE = 5e-3  # with Adam(0.5, 0.999), as in the paper's section 4.1
ADAM_BETAS = (0.5, 0.999)
PAPER_BACKBONE = "wide_resnet50_2"
CPU_EPOCHS = 10  # smaller backbones, 256²: under an hour for 1,300 images on two cores


class RevDist(Detector):
    """Reverse distillation for any convolutional backbone with two or more stages.

    Differences from the paper: the decoder takes its widths from the backbone at hand, and the
    three cosine maps are summed at the resolution of the finest stage instead of the image's.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        channels, strides = backbone.channels, backbone.strides
        if len(strides) < 2 or any(b != 2 * a for a, b in pairwise(strides)):
            raise ConfigError(
                f"reverse distillation needs two or more stages, each half as fine as the one "
                f"before, not strides {tuple(strides)}: choose other --stages"
            )
        self.paper = backbone.name == PAPER_BACKBONE
        self.bottleneck = Bottleneck(channels)
        self.decoder = Decoder(channels)

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): the sum over stages of 1 - cosine, smoothed."""
        size = seen.stages[0].shape[-2:]
        restored = self.decoder(self.bottleneck(seen.stages))
        maps = [
            F.interpolate(_cosine_distance(t, s), size, mode="bilinear", align_corners=False)
            for t, s in zip(seen.stages, restored, strict=True)
        ]
        return smooth(torch.stack(maps).sum(0), self.stride).squeeze(1)  # (B, h, w)

    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:
        """Minimise `loss` by Adam; an interrupted fit goes on where it stopped."""
        optimizer = torch.optim.Adam(self.parameters(), LEARNING_RATE, ADAM_BETAS)
        minimise(self, Descent(optimizer), features, options, progress)

    def advised_epochs(self, images: int, batch_size: int) -> int:  # noqa: ARG002
        """The 100 that are usual for several products at once, or what a CPU can bear."""
        return 100 if self.paper else CPU_EPOCHS

    def loss(self, seen: Seen, done: float) -> Tensor:  # noqa: ARG002  the same all along
        """1 - cosine of each whole stage, channels and places together, summed over stages.

        The authors' code trains so, where equation 2 takes the cosine place by place.
        """
        restored = self.decoder(self.bottleneck(seen.stages))
        pairs = zip(seen.stages, restored, strict=True)
        whole = [F.cosine_similarity(t.flatten(1), s.flatten(1)) for t, s in pairs]
        return (1 - torch.stack(whole)).sum(0).mean()


def _cosine_distance(teacher: Tensor, student: Tensor) -> Tensor:
    """1 - cosine over channels: (B, C, H, W) twice → (B, 1, H, W)."""
    return 1 - F.cosine_similarity(teacher, student, dim=1).unsqueeze(1)


class Bottleneck(nn.Module):
    """Multi-scale feature fusion and one-class embedding (the paper's figure 3b)."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        last = channels[-1]
        self.fusion = nn.ModuleList(
            _downsample(c, last, times=len(channels) - 1 - i) for i, c in enumerate(channels)
        )
        self.embedding = Block(last * len(channels), 2 * last, stride=2)

    def forward(self, features: list[Tensor]) -> Tensor:
        """[(B, C, H, W), …] → (B, 2C, H', W') at half the resolution of the last stage."""
        same = [fuse(f) for fuse, f in zip(self.fusion, features, strict=True)]
        return self.embedding(torch.cat(same, dim=1))


def _downsample(channels: int, last: int, *, times: int) -> nn.Sequential:
    """3×3 stride-2 convolutions that bring a stage to the last stage's width and resolution."""
    layers: list[nn.Module] = []
    for step in range(times):
        width = last if step == times - 1 else 2 * channels
        layers += [
            nn.Conv2d(channels, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        channels = width
    return nn.Sequential(*layers)


class Decoder(nn.Module):
    """The student: residual blocks that double the resolution from stage to stage."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [2 * channels[-1], *reversed(channels)]
        self.stages = nn.ModuleList(
            nn.Sequential(Block(a, b, stride=-2), Block(b, b)) for a, b in pairwise(widths)
        )

    def forward(self, embedding: Tensor) -> list[Tensor]:
        """The restored stages, finest first, as the teacher gives them."""
        restored: list[Tensor] = []
        for stage in self.stages:
            embedding = stage(embedding)
            restored.insert(0, embedding)
        return restored


class Block(nn.Module):
    """ResNet's basic block; a stride of -2 doubles the resolution by a transposed convolution."""

    def __init__(self, cin: int, cout: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _resample(cin, cout, stride, kernel=3)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and cin == cout
            else nn.Sequential(_resample(cin, cout, stride, kernel=1), nn.BatchNorm2d(cout))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, cin, H, W) → (B, cout, H', W')."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def _resample(cin: int, cout: int, stride: int, *, kernel: int) -> nn.Module:
    if stride < 0:
        return nn.ConvTranspose2d(cin, cout, 2, 2, bias=False)
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)
