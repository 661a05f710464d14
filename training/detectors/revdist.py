"""Reverse distillation: Deng and Li, "Anomaly Detection via Reverse Distillation from One-Class
Embedding" (CVPR 2022, RD4AD).

The frozen backbone is the teacher. A one-class bottleneck fuses its stages into one compact
embedding, from which a student decoder, the teacher mirrored, restores every stage. It learns
that on normal images only, so where an image is anomalous teacher and student disagree.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.detectors.bottleneck import (
    PINCHED_DEPTHS,
    Bottleneck,
    Decoder,
    PinchedBlock,
    disagreement,
    require_halving,
)
from onegauge.training.detectors.detector import Detector, FitOptions
from onegauge.training.detectors.engine import Descent, minimise
from onegauge.training.progress import Progress

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
        channels = backbone.channels
        self.paper = backbone.architecture == PAPER_BACKBONE
        if self.paper and len(channels) == len(PINCHED_DEPTHS):  # as the authors mirror it
            self.bottleneck = Bottleneck(channels, partial(PinchedBlock, pinch=4), 3)
            self.decoder = Decoder(channels, partial(PinchedBlock, pinch=2), PINCHED_DEPTHS)
        else:
            self.bottleneck, self.decoder = Bottleneck(channels), Decoder(channels)

    @staticmethod
    def require(backbone: Backbone) -> None:
        """Raise ConfigError unless its stages halve."""
        require_halving(backbone, "reverse distillation")

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): the sum over stages of 1 - cosine, smoothed."""
        restored = self.decoder(self.bottleneck(seen.stages))
        return disagreement(seen.stages, restored, self.stride)

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
