"""PatchCore: Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (CVPR 2022).

A memory bank of locally aware patch features of normal images, thinned to a coreset by greedy
farthest-point sampling; a patch is as anomalous as it is far from its nearest memory.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.backbone import Backbone
from training.detectors.detector import Detector, FitOptions, smooth
from training.features import Features, Seen
from training.progress import Progress

PROJECTION = 128  # dimensions in which the coreset is chosen (section 3.2)
OVERSAMPLING = 8  # patches drawn at random for each place in the bank
BLOCK = 2048  # memories compared at a time: bounds the distance matrix


class PatchCore(Detector):
    """Memory bank over the last two stages, 3×3 neighbourhoods, nearest neighbour.

    Differences from the paper: stages are concatenated without adaptive pooling to 1024
    dimensions; the coreset is chosen among patches drawn at random from every image, of which
    neighbours are much alike; the bank has a fixed size, so that neither the cost of the choice
    nor that of an inspection grows with the data.
    """

    bank: Tensor
    source: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        dimensions = sum(backbone.channels[-2:])
        self.register_buffer("bank", torch.empty(0, dimensions).half())  # (M, D)
        self.register_buffer("source", torch.empty(0, dtype=torch.int32))  # (M,) picture

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): distance to the nearest memory, enlarged and smoothed."""
        patches = _patches(seen)  # (B, H, W, D)
        flat = patches.flatten(0, 2)
        nearest = [_less_own(flat, block).amin(1) for block in self.bank.float().split(BLOCK)]
        return self._as_map(torch.stack(nearest).amin(0), patches, seen)

    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:
        """Fill the memory bank with a coreset of the patches."""
        generator = torch.Generator().manual_seed(options.seed)
        projection = torch.randn(self.bank.shape[1], PROJECTION, generator=generator)
        projection = projection.to(features.device) / PROJECTION**0.5
        patches, source = self._draw(features, options.bank_size, generator, progress)
        chosen = _farthest_points(patches @ projection, options.bank_size, progress)
        self.bank, self.source = patches[chosen].half(), source[chosen]

    @torch.inference_mode()
    def _draw(
        self, features: Features, bank_size: int, generator: torch.Generator, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """As many random patches of every image: (P, D), and the image of each (P,)."""
        wanted = -(-OVERSAMPLING * bank_size // len(features))
        drawn, source = [], []
        with progress.step("patches", len(features)) as step:
            for rows, batch in features.batches():
                patches = _patches(batch).flatten(1, 2)  # (B, H·W, D)
                order = torch.rand(patches.shape[:2], generator=generator).argsort(1)[:, :wanted]
                order = order.to(patches.device)
                some = patches.gather(1, order[..., None].expand(-1, -1, patches.shape[2]))
                drawn.append(some.flatten(0, 1))
                images = torch.from_numpy(features.sources[rows].astype(np.int32))
                source.append(images.repeat_interleave(order.shape[1]).to(patches.device))
                step.advance(len(patches))
        return torch.cat(drawn), torch.cat(source)

    @torch.inference_mode()
    def out_of_fold(self, features: Features, progress: Progress) -> Tensor:
        """Maps (N, h, w) fp16 of the fitted images, each without the memories it gave itself."""
        maps = []
        with progress.step("out of fold", len(features)) as step:
            for rows, batch in features.batches():
                maps.append(self._leave_one_out(batch, features.sources[rows]))
                step.advance(rows.stop - rows.start)
        return torch.cat(maps)

    def _leave_one_out(self, seen: Seen, pictures: np.ndarray) -> Tensor:
        patches = _patches(seen)  # (B, H, W, D)
        flat, nearest = patches.flatten(0, 2), []
        for block, source in zip(
            self.bank.float().split(BLOCK), self.source.split(BLOCK), strict=True
        ):
            squared = _less_own(flat, block).view(len(pictures), -1, len(block))  # (B, H·W, M)
            for image, picture in enumerate(pictures):
                squared[image, :, source == int(picture)] = torch.inf
            nearest.append(squared.flatten(0, 1).amin(1))
        return self._as_map(torch.stack(nearest).amin(0), patches, seen).half().cpu()

    def _as_map(self, nearest: Tensor, patches: Tensor, seen: Seen) -> Tensor:
        """Distances as by `_less_own` (B·H·W,) of patches (B, H, W, D) to a map (B, h, w)."""
        squared = nearest.view(patches.shape[:3]) + patches.square().sum(3)
        maps = squared.clamp_min(0).sqrt().unsqueeze(1)
        size = seen.stages[0].shape[-2:]
        maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        return smooth(maps, self.stride).squeeze(1)


def _patches(seen: Seen) -> Tensor:
    """Locally aware patch features (B, H, W, D): 3×3 means of the last two stages, concatenated."""
    stages = [F.avg_pool2d(stage, 3, 1, 1) for stage in seen.stages[-2:]]
    size = stages[0].shape[-2:]
    same = [
        F.interpolate(s, size, mode="bilinear", align_corners=False) if s.shape[-2:] != size else s
        for s in stages
    ]
    return torch.cat(same, dim=1).permute(0, 2, 3, 1)


def _less_own(patches: Tensor, memories: Tensor) -> Tensor:
    """Squared distances (N, M) of rows, less each patch's own squared norm.

    The norm does not move which memory is nearest, so it is added once for each patch, not for
    each pair; the rest is a single matrix product.
    """
    return torch.addmm(memories.square().sum(1), patches, memories.T, alpha=-2)


def _farthest_points(points: Tensor, wanted: int, progress: Progress) -> Tensor:
    """Greedy farthest-point sampling (the paper's algorithm 1): indices of `wanted` rows.

    Starts at the row farthest from the mean, so that no random choice enters.
    """
    if wanted >= len(points):
        return torch.arange(len(points), device=points.device)
    norms = (points * points).sum(1)
    nearest = (points - points.mean(0)).square().sum(1)
    chosen = torch.empty(wanted, dtype=torch.long, device=points.device)
    with progress.step("coreset", wanted) as step:
        for i in range(wanted):
            chosen[i] = latest = nearest.argmax()
            distance = norms - 2 * (points @ points[latest]) + norms[latest]
            nearest = distance if i == 0 else torch.minimum(nearest, distance)
            step.advance()
    return chosen
