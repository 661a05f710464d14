"""PatchCore: Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (CVPR 2022).

A memory bank of locally aware patch features of normal images, thinned to a coreset by greedy
farthest-point sampling; a patch is as anomalous as it is far from its nearest memory.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.backbones.retrieval import within
from onegauge.training.detectors.coreset import farthest_points
from onegauge.training.detectors.detector import Detector, FitOptions, smooth
from onegauge.training.detectors.patches import local_patches
from onegauge.training.progress import Progress

PROJECTION = 128  # dimensions in which the coreset is chosen (section 3.2)
OVERSAMPLING = 8  # patches at least that are drawn at random for each place in the bank
DRAWN = 240_000  # and at least in all, where there are so many: what is rare has to be among them


class PatchCore(Detector):
    """Memory bank over the last two stages, 3×3 neighbourhoods, nearest neighbour.

    Differences from the paper: stages are concatenated without adaptive pooling to 1024
    dimensions; the coreset is chosen among patches drawn at random from every image, of which
    neighbours are much alike; the bank has a fixed size, so that neither the cost of the choice
    nor that of an inspection grows with the data.
    """

    leaves_one_out = True
    bank: Tensor
    source: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        dimensions = sum(backbone.channels[-2:])
        self.register_buffer("bank", torch.empty(0, dimensions).half())  # (M, D)
        self.register_buffer("source", torch.empty(0, dtype=torch.int32))  # (M,) group

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): distance to the nearest memory, enlarged and smoothed.

        Memories of the groups that are an image's own tell nothing of it.
        """
        patches = local_patches(seen.stages[-2:])  # (B, H, W, D)
        points, memories = patches.flatten(1, 2), self.bank.float()
        norms = memories.square().sum(1)  # (M,)
        if seen.own is not None:
            norms = norms.masked_fill(within(self.source, seen.own), torch.inf).unsqueeze(1)
        squared = (norms - 2 * points @ memories.T).amin(2) + points.square().sum(2)
        maps = squared.clamp_min(0).sqrt().view(patches.shape[:3]).unsqueeze(1)
        size = seen.stages[0].shape[-2:]
        maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        return smooth(maps, self.stride).squeeze(1)

    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:
        """Fill the memory bank with a coreset of the patches."""
        generator = torch.Generator().manual_seed(options.seed)
        projection = torch.randn(self.bank.shape[1], PROJECTION, generator=generator)
        projection = projection.to(features.device) / PROJECTION**0.5
        patches, source = self._draw(features, options.bank_size, generator, progress)
        chosen = farthest_points(patches @ projection, options.bank_size, progress)
        self.bank, self.source = patches[chosen].half(), source[chosen]

    @torch.inference_mode()
    def _draw(
        self, features: Features, bank_size: int, generator: torch.Generator, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """As many random patches of every image: (P, D), and the group of each (P,)."""
        wanted = -(-max(OVERSAMPLING * bank_size, DRAWN) // len(features))
        drawn, source = [], []
        with progress.step("patches", len(features)) as step:
            for rows, batch in features.batches():
                patches = local_patches(batch.stages[-2:]).flatten(1, 2)  # (B, H·W, D)
                order = torch.rand(patches.shape[:2], generator=generator).argsort(1)[:, :wanted]
                order = order.to(patches.device)
                some = patches.gather(1, order[..., None].expand(-1, -1, patches.shape[2]))
                drawn.append(some.flatten(0, 1))
                groups = torch.from_numpy(features.sources[rows].astype(np.int32))
                source.append(groups.repeat_interleave(order.shape[1]).to(patches.device))
                step.advance(len(patches))
        return torch.cat(drawn), torch.cat(source)
