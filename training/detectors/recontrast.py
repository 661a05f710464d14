"""ReContrast: Guo et al., "ReContrast: Domain-Specific Anomaly Detection via Contrastive
Reconstruction" (NeurIPS 2023).

Reverse distillation whose encoder adapts to the products. Two encoders, the frozen backbone and a
copy of it that is trained, see the same image in two ways. From the features of each, a bottleneck
and a decoder that both share restore those of the other, so that the trained one can neither
collapse nor drift away from the frozen one, and where an image is anomalous the two disagree.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.detectors.bottleneck import (
    PINCHED_DEPTHS,
    Block,
    Bottleneck,
    Decoder,
    PinchedBlock,
    disagreement,
    require_halving,
)
from onegauge.training.detectors.detector import Detector, FitOptions, cosine_distance, epochs_for
from onegauge.training.detectors.engine import Descent, minimise
from onegauge.training.distributed import of_all
from onegauge.training.progress import Progress

PAPER_BACKBONE = "wide_resnet50_2"
PINCH = {"wide_resnet50_2": 2, "resnet50": 4}  # of the backbones that are mirrored as such
ITERATIONS = 5_000  # of the authors' recipe for several products, with batches of 16
CPU_EPOCHS = 3  # other backbones
LEARNING_RATE = 2e-3  # of AdamW
ENCODER_RATE = 1e-5  # of the trained encoder
WEIGHT_DECAY = 1e-5
LATE = 0.8  # of the training, after which the rates fall
LATE_RATE = 0.2  # what is left of them
RAMP = 0.1  # of the training, in which the threshold of hard places rises
EASIEST, HARDEST = -3.0, 1.0  # from and to here, in standard deviations above the mean distance


class ReContrast(Detector):
    """Contrastive reconstruction for any convolutional backbone with two or more stages.

    As the authors train several products at once, batch norm of the trained encoder keeps its
    pretrained statistics, and the decoder's activation is the GELU. Differences: the networks take
    their widths from the backbone at hand, and the six cosine maps are summed at the resolution of
    the finest stage instead of the image's.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        channels, name = backbone.channels, backbone.architecture
        self.paper = name == PAPER_BACKBONE
        block, depth, depths = Block, 2, None
        if name in PINCH and len(channels) == len(PINCHED_DEPTHS):
            block, depth, depths = partial(PinchedBlock, pinch=PINCH[name]), 3, PINCHED_DEPTHS
        self.encoder = deepcopy(backbone).requires_grad_(True)
        self.bottleneck = Bottleneck(channels, block, depth)
        self.decoder = Decoder(channels, partial(block, activation=F.gelu), depths)
        self.to_frozen = nn.ModuleList(nn.Conv2d(c, c, 1) for c in channels)
        self.to_trained = nn.ModuleList(nn.Conv2d(c, c, 1) for c in channels)
        for part in (self.bottleneck, self.decoder, self.to_frozen, self.to_trained):
            part.apply(_initialise)

    @staticmethod
    def require(backbone: Backbone) -> None:
        """Raise ConfigError unless its stages halve."""
        require_halving(backbone, "contrastive reconstruction")

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): the sum of 1 - cosine over stages, both ways, smoothed."""
        trained = self.encoder(seen.image)
        restored = self._restore(seen.stages, trained)
        return disagreement([*seen.stages, *trained], restored, self.stride)

    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:
        """Minimise `loss` by AdamW; an interrupted fit goes on where it stopped."""
        pretrained = list(self.encoder.parameters())
        new = [p for n, p in self.named_parameters() if not n.startswith("encoder.")]
        groups = [{"params": new}, {"params": pretrained, "lr": ENCODER_RATE}]
        optimizer = torch.optim.AdamW(groups, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        minimise(self, Descent(optimizer, falling), features, options, progress)

    def advised_epochs(self, images: int, batch_size: int) -> int:
        """As many as make the paper's 5,000 iterations, or what a CPU can bear."""
        return epochs_for(ITERATIONS, images, batch_size) if self.paper else CPU_EPOCHS

    def loss(self, seen: Seen, done: float) -> Tensor:
        """1 - cosine of each whole stage, summed over stages; the mean of both ways.

        No gradient flows into what is to be restored.
        """
        trained = self.encoder(seen.image)
        hardness = EASIEST + (HARDEST - EASIEST) * min(1, done / RAMP)
        restored = self._restore(seen.stages, trained)
        true = [*seen.stages, *(stage.detach() for stage in trained)]
        pairs = zip(true, restored, strict=True)
        return torch.stack([_mined_distance(t, r, hardness) for t, r in pairs]).sum() / 2

    def _restore(self, frozen: list[Tensor], trained: list[Tensor]) -> list[Tensor]:
        """The stages of the frozen encoder from the trained one's, then the other way.

        Both pass as one batch (2B, C, H, W), on which batch norm takes its statistics.
        """
        both = [torch.cat(pair) for pair in zip(trained, frozen, strict=True)]
        decoded = self.decoder(self.bottleneck(both))
        ways = [stage.unflatten(0, (2, -1)) for stage in decoded]  # (2, B, C, H, W)
        return [
            *(head(way[0]) for head, way in zip(self.to_frozen, ways, strict=True)),
            *(head(way[1]) for head, way in zip(self.to_trained, ways, strict=True)),
        ]


def _mined_distance(true: Tensor, restored: Tensor, hardness: float) -> Tensor:
    """Mean of 1 - cosine of whole stages (B, C, H, W), whose easy places have no gradient.

    Easy is a place that is less far off than the mean over the batch and `hardness` standard
    deviations: the paper's global cosine distance with hard-normal mining.
    """
    with torch.no_grad():
        distance = cosine_distance(true, restored)  # (B, 1, H, W)
        everywhere = of_all(distance)
        easy = distance < everywhere.mean() + hardness * everywhere.std()
    mined = torch.where(easy, restored.detach(), restored)  # the same value, less gradient
    return (1 - F.cosine_similarity(true.flatten(1), mined.flatten(1))).mean()


def falling(done: float) -> float:
    """Factor on the learning rates."""
    return LATE_RATE if done >= LATE else 1.0


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
