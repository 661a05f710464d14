"""Dinomaly: Guo et al., "Dinomaly: The Less Is More Philosophy in Multi-Class Unsupervised Anomaly
Detection" (CVPR 2025).

A decoder of plain transformer blocks restores the stages of the frozen backbone from their mean.
Three things keep it from restoring what is anomalous as well: dropout in the bottleneck, attention
that cannot focus because it is linear, and a loss that is loose, on averages of several layers and
with little weight on the places that are restored well already.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.detectors.detector import (
    Detector,
    FitOptions,
    cosine_distance,
    epochs_for,
    smooth,
)
from onegauge.training.detectors.engine import Descent, minimise
from onegauge.training.detectors.layers import Dropout
from onegauge.training.detectors.stable_adamw import StableAdamW
from onegauge.training.distributed import of_all
from onegauge.training.progress import Progress

PAPER_BACKBONES = tuple(f"vit_{size}_patch14_reg4_dinov2" for size in ("small", "base", "large"))
ITERATIONS = 10_000  # of the paper, with batches of 16
CPU_EPOCHS = 10  # other backbones
CPU_WIDTH = 192  # of the decoder where stages differ in their width
GROUP = 4  # decoder blocks whose mean restores one target: section 3.5
CPU_GROUP = 2
DROPOUT = 0.2  # of the bottleneck
HEAD = 64  # width of an attention head
EPSILON = 1e-6  # in the denominator of attention
NORM_EPSILON = 1e-8
LEARNING_RATE = 2e-3
FINAL_RATE = 0.1  # of it, at the end of the cosine
WARM_UP = 0.01  # of the training
WEIGHT_DECAY = 1e-4
OPTIMIZER_EPSILON = 1e-10
CLIP = 0.1
EASY = 0.9  # of the places, those restored best
EASY_RAMP = 0.1  # of the training, in which their share grows from 0
EASY_GRADIENT = 0.1  # what they keep of their gradient


class Dinomaly(Detector):
    """Restores groups of a transformer's blocks, or the stages of a convolutional network.

    Differences from the paper: the decoder sees patch tokens only, no class or register tokens,
    and the map is made at the resolution of the stages instead of the image's. Stages of a
    convolutional network, which differ in width and resolution, are pooled to the grid of the
    coarsest, concatenated for the bottleneck, and are each a target of its own that a linear
    layer restores from two blocks of a narrow decoder: a size for CPUs that is not the paper's.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        channels = backbone.channels
        self.paper = backbone.architecture in PAPER_BACKBONES
        self.alike = len({*zip(channels, backbone.strides, strict=True)}) == 1
        if self.alike:
            read = width = channels[0]
            restored, self.group = channels[:2], GROUP
        else:
            read, width = sum(channels), CPU_WIDTH
            restored, self.group = channels, CPU_GROUP
        self.bottleneck = _perceptron(read, width, DROPOUT)
        self.decoder = nn.ModuleList(Block(width) for _ in range(self.group * len(restored)))
        self.heads = nn.ModuleList(
            nn.Identity() if self.alike else nn.Linear(width, c) for c in restored
        )
        self.apply(_initialise)

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): the mean over targets of 1 - cosine, enlarged and smoothed."""
        targets = self._targets(seen.stages)
        pairs = zip(targets, self._restore(targets), strict=True)
        maps = torch.stack([cosine_distance(t, r) for t, r in pairs]).mean(0)  # (B, 1, h', w')
        size = seen.stages[0].shape[-2:]
        maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        return smooth(maps, self.stride).squeeze(1)

    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:
        """Minimise `loss` by StableAdamW; an interrupted fit goes on where it stopped."""
        optimizer = StableAdamW(
            self.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, epsilon=OPTIMIZER_EPSILON
        )
        minimise(self, Descent(optimizer, warm_cosine, CLIP), features, options, progress)

    def advised_epochs(self, images: int, batch_size: int) -> int:
        """As many as make the paper's 10,000 iterations, or what a CPU can bear."""
        return epochs_for(ITERATIONS, images, batch_size) if self.paper else CPU_EPOCHS

    def loss(self, seen: Seen, done: float) -> Tensor:
        """Mean over targets and images of 1 - cosine, places and channels together."""
        targets = self._targets(seen.stages)
        easy = EASY * min(1, done / EASY_RAMP)
        pairs = zip(targets, self._restore(targets), strict=True)
        return torch.stack([mined_distance(t, r, easy) for t, r in pairs]).mean()

    def _targets(self, stages: list[Tensor]) -> list[Tensor]:
        """What is to be restored, [(B, C, h', w'), …] on one grid, shallow to deep."""
        if not self.alike:
            grid = stages[-1].shape[-2:]
            return [F.adaptive_avg_pool2d(stage, grid) for stage in stages]
        halves = torch.stack(stages).tensor_split(len(self.heads))
        return [half.mean(0) for half in halves]

    def _restore(self, targets: list[Tensor]) -> list[Tensor]:
        """The targets as restored, in fp32; the decoder's last blocks restore the shallowest."""
        fused = torch.stack(targets).mean(0) if self.alike else torch.cat(targets, dim=1)
        x = self.bottleneck(fused.flatten(2).transpose(1, 2)).float()  # (B, T, D)
        outputs: list[Tensor] = []
        for block in self.decoder:
            x = block(x)
            outputs.insert(0, x)
        groups = torch.stack(outputs).split(self.group)
        tokens = [head(group.mean(0)) for head, group in zip(self.heads, groups, strict=True)]
        return [t.float().transpose(1, 2).unflatten(2, fused.shape[-2:]) for t in tokens]


def mined_distance(target: Tensor, restored: Tensor, easy: float) -> Tensor:
    """1 - cosine of each whole image (B,), with a tenth of the gradient where it is easy.

    Easy is that share of the batch's places which is restored best (the paper's equations 4 to 6).
    """
    with torch.no_grad():
        distance = cosine_distance(target, restored)  # (B, 1, H, W)
        kept = torch.where(distance < of_all(distance).quantile(easy), EASY_GRADIENT, 1.0)
    mined = torch.lerp(restored.detach(), restored, kept)  # the same value, less gradient
    return 1 - F.cosine_similarity(target.flatten(1), mined.flatten(1))


def warm_cosine(done: float) -> float:
    """Factor on the learning rate: a linear rise, then half a cosine down to FINAL_RATE."""
    if done < WARM_UP:
        return done / WARM_UP
    turned = math.pi * (done - WARM_UP) / (1 - WARM_UP)
    return FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(turned)) / 2


class Block(nn.Module):
    """A pre-normalised transformer block with linear attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attention = LinearAttention(width)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.perceptron = _perceptron(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        x = x + self.attention(self.norm1(x))
        return x + self.perceptron(self.norm2(x))


class LinearAttention(nn.Module):
    """Attention without softmax (Katharopoulos et al. 2020): it spreads instead of focusing.

    Keys are averaged over tokens, not summed, so that no product leaves the range of fp16, and
    the denominator is fp32 and never 0: exp of a very negative key is.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD)
        self.qkv = nn.Linear(width, 3 * self.heads * HEAD)
        self.projection = nn.Linear(self.heads * HEAD, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        qkv = self.qkv(x).unflatten(2, (3, self.heads, HEAD)).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # (B, heads, T, HEAD) each
        q, k = F.elu(q.float()) + 1, (F.elu(k.float()) + 1) / x.shape[1]
        attended = q @ (k.transpose(2, 3) @ v)  # (B, heads, T, HEAD)
        total = (q * k.sum(2, keepdim=True)).sum(3, keepdim=True)  # (B, heads, T, 1)
        return self.projection((attended / (total + EPSILON)).transpose(1, 2).flatten(2))


def _perceptron(read: int, width: int, dropout: float = 0.0) -> nn.Sequential:
    """Two layers, four times as wide between them, with dropout before, between and after."""
    return nn.Sequential(
        Dropout(dropout),
        nn.Linear(read, 4 * width),
        nn.GELU(),
        Dropout(dropout),
        nn.Linear(4 * width, width),
        Dropout(dropout),
    )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
        nn.init.zeros_(module.bias)
