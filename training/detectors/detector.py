"""What every detector is: fitted on normal features, it gives a raw anomaly map of any image."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.config import FitOptions
from onegauge.training.progress import Progress

SMOOTHING = 4.0  # standard deviation in pixels of the image, as in RD4AD and PatchCore


class Detector(nn.Module, ABC):
    """One published method: `fit` on normal images, `forward` from features to raw anomaly map.

    Built from the backbone alone, so that a checkpoint can restore it.
    The anomaly map has the resolution of the finest stage, unless `stride_of` says otherwise.
    """

    # Whether `out_of_fold` is all that tells how new images score, so that none is held out
    leaves_one_out: ClassVar[bool] = False

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.require(backbone)
        self.stride = self.stride_of(backbone)

    @staticmethod
    def stride_of(backbone: Backbone) -> int:
        """Pixels of the image along a side of one pixel of the map."""
        return backbone.strides[0]

    @staticmethod
    def require(backbone: Backbone) -> None:
        """Raise ConfigError for a backbone that does not suit; here all do."""

    @abstractmethod
    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:
        """Learn from the features of normal images."""

    @abstractmethod
    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w); higher is odder."""

    def quickest(self, images: int, seen: Seen) -> Callable[[Seen], Tensor]:  # noqa: ARG002
        """What computes the maps of so many images such as those `seen` soonest."""
        return self

    def advised_epochs(self, images: int, batch_size: int) -> int:  # noqa: ARG002
        """Passes over so many images where the user asks for none; of no concern to a bank."""
        return 1

    def out_of_fold(self, features: Features, progress: Progress) -> Tensor:
        """Maps (N, h, w) fp16 of the images that `fit` saw, as if it had not seen them.

        This default takes the maps as they are: right for a detector that scores its own
        training images like new ones; others override it.
        """
        quickest = self.quickest(len(features), features.batch([0]))
        return raw_maps(quickest, features, progress)

    def plain_maps(self, out_of_fold: Tensor) -> Tensor:
        """Maps (N, h, w) fp16 of the images that `fit` saw, in one unit for all of them.

        Out of fold as well: those given, unless a detector weighs distances by what is usual, which
        forgives a defective image what is odd about it.
        """
        return out_of_fold


@torch.inference_mode()
def raw_maps(detector: Callable[[Seen], Tensor], features: Features, progress: Progress) -> Tensor:
    """Raw anomaly maps (N, h, w) fp16 of all images of a store."""
    found = features.each("scoring", detector, progress)
    return torch.cat([maps.half().cpu() for maps in found])


def epochs_for(iterations: int, images: int, batch_size: int) -> int:
    """As many passes over so many images as make a paper's iterations, all of a full batch."""
    return math.ceil(iterations / max(1, images // batch_size))


def cosine_distance(true: Tensor, restored: Tensor) -> Tensor:
    """1 - cosine over channels: (B, C, H, W) twice → (B, 1, H, W)."""
    return 1 - F.cosine_similarity(true, restored, dim=1).unsqueeze(1)


def smooth(maps: Tensor, stride: int) -> Tensor:
    """Gaussian smoothing of maps (B, 1, h, w), `stride` image pixels to one, borders repeated."""
    sigma = SMOOTHING / stride
    radius = int(3 * sigma + 0.5)
    x = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = F.pad(maps, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel), kernel.transpose(2, 3))
