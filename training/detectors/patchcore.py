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
AXES = 64  # dimensions in which candidates for the nearest memory are found
BLOCKS, BLOCK = 8, 640  # so many blocks at least of so many memories at most, a candidate of each
GROUP = 32  # memories of a block of which the nearest is found at once
CANDIDATES = 4  # the nearest of all, of which the nearest in all dimensions is taken
POINTS_AT_A_TIME, CHOICES_AT_A_TIME = 2**16, 1024  # bound the memory of the coreset's choice


class PatchCore(Detector):
    """Memory bank over the last two stages, 3×3 neighbourhoods, nearest neighbour.

    Differences from the paper: stages are concatenated without adaptive pooling to 1024
    dimensions; the coreset is chosen among patches drawn at random from every image, of which
    neighbours are much alike; the bank has a fixed size, so that neither the cost of the choice
    nor that of an inspection grows with the data; the bank falls into blocks, of each the memory
    that is nearest in the bank's principal axes is a candidate, and of the few nearest candidates
    the one that is nearest in all dimensions counts.
    """

    bank: Tensor
    axes: Tensor
    source: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        dimensions = sum(backbone.channels[-2:])
        self.register_buffer("bank", torch.empty(0, dimensions).half())  # (M, D)
        self.register_buffer("axes", torch.empty(dimensions, 0))  # (D, A)
        self.register_buffer("source", torch.empty(0, dtype=torch.int32))  # (M,) picture

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): distance to the nearest memory, enlarged and smoothed."""
        return self._as_map(seen)

    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:
        """Fill the memory bank with a coreset of the patches."""
        generator = torch.Generator().manual_seed(options.seed)
        projection = torch.randn(self.bank.shape[1], PROJECTION, generator=generator)
        projection = projection.to(features.device) / PROJECTION**0.5
        patches, source = self._draw(features, options.bank_size, generator, progress)
        chosen = _farthest_points(patches @ projection, options.bank_size, progress)
        self.bank, self.source = patches[chosen].half(), source[chosen]
        self.axes = _principal_axes(self.bank.float())

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
                pictures = torch.from_numpy(features.sources[rows].astype(np.int32))
                maps.append(self._as_map(batch, pictures.to(features.device)).half().cpu())
                step.advance(rows.stop - rows.start)
        return torch.cat(maps)

    def _as_map(self, seen: Seen, pictures: Tensor | None = None) -> Tensor:
        """Raw maps (B, h, w), without the memories of the images' own `pictures` (B,) if given."""
        patches = _patches(seen)  # (B, H, W, D)
        own = None
        if pictures is not None:
            own = pictures.repeat_interleave(patches.shape[1] * patches.shape[2])
        nearest = self._nearest(patches.flatten(0, 2), own).view(patches.shape[:3])
        maps = nearest.sqrt().unsqueeze(1)
        size = seen.stages[0].shape[-2:]
        maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        return smooth(maps, self.stride).squeeze(1)

    def _nearest(self, patches: Tensor, own: Tensor | None) -> Tensor:
        """Squared distances (N,) of patches (N, D) to their nearest memories.

        Memories of the picture `own` (N,) of a patch are left out.
        """
        memories = self.bank.float()
        nearest = []
        for candidate in self._candidates(patches, memories, own).unbind(1):  # (N,)
            squared = (patches - memories[candidate]).square().sum(1)
            if own is not None:
                squared.masked_fill_(self.source[candidate] == own, torch.inf)  # has no other
            nearest.append(squared)
        return torch.stack(nearest).amin(0)

    def _candidates(self, patches: Tensor, memories: Tensor, own: Tensor | None) -> Tensor:
        """The rows (N, C) of memories (M, D) that are near to patches (N, D) in the axes.

        It is the nearest of a block that has to be found, not its distance: a patch's own norm and
        whatever the axes leave out are the same for all, or nearly.
        """
        blocks = max(BLOCKS, -(-len(memories) // BLOCK))
        size = GROUP * -(-len(memories) // (GROUP * blocks))
        spare = -len(memories) % size
        keys, short = patches @ self.axes, memories @ self.axes  # (N, A), (M, A)
        norms = F.pad(short.square().sum(1), (0, spare), value=torch.inf)
        source = F.pad(self.source, (0, spare), value=-1)
        found = []
        for block in F.pad(short, (0, 0, 0, spare)).split(size):
            start = len(found) * size
            apart = torch.addmm(norms[start : start + size], keys, block.T, alpha=-2)  # (N, m)
            if own is not None:
                apart.masked_fill_(source[start : start + size] == own[:, None], torch.inf)
            distance, row = _least(apart)
            found.append((distance, row + start))
        distances, rows = (torch.cat(columns, dim=1) for columns in zip(*found, strict=True))
        few = distances.topk(min(CANDIDATES, len(found)), dim=1, largest=False, sorted=False)
        return rows.gather(1, few.indices).clamp_max(len(memories) - 1)


def _least(values: Tensor) -> tuple[Tensor, Tensor]:
    """The least of each row of (N, m), and its column, both (N, 1).

    By the least of groups, that is without a place for each: several times as fast as to look for
    the place in the whole row.
    """
    groups = values.shape[1] // GROUP
    lowest = values.view(-1, GROUP, groups).amin(1)  # (N, g) of the columns that are g apart
    group = lowest.argmin(1, keepdim=True)
    columns = group + groups * torch.arange(GROUP, device=values.device)  # (N, GROUP)
    place = values.gather(1, columns).argmin(1, keepdim=True)
    return lowest.amin(1, keepdim=True), columns.gather(1, place)


def _principal_axes(bank: Tensor) -> Tensor:
    """The directions (D, A) in which memories (M, D) differ most."""
    _, directions = torch.linalg.eigh((bank - bank.mean(0)).T @ (bank - bank.mean(0)))
    return directions.flip(1)[:, :AXES].contiguous()


def _patches(seen: Seen) -> Tensor:
    """Locally aware patch features (B, H, W, D): 3×3 means of the last two stages, concatenated."""
    stages = [F.avg_pool2d(stage, 3, 1, 1) for stage in seen.stages[-2:]]
    size = stages[0].shape[-2:]
    same = [
        F.interpolate(s, size, mode="bilinear", align_corners=False) if s.shape[-2:] != size else s
        for s in stages
    ]
    return torch.cat(same, dim=1).permute(0, 2, 3, 1)


def _farthest_points(points: Tensor, wanted: int, progress: Progress) -> Tensor:
    """Greedy farthest-point sampling (the paper's algorithm 1): indices of `wanted` rows.

    Starts at the row farthest from the mean, so that no random choice enters. The next choices
    are found together among the farthest points: as choices only bring points nearer, one of these
    is the farthest of all while it is farther than the farthest of the others was before.
    """
    if wanted >= len(points):
        return torch.arange(len(points), device=points.device)
    first = (points - points.mean(0)).square().sum(1).argmax()
    chosen = first.view(1)
    nearest = torch.full((len(points),), torch.inf, device=points.device)
    _approach(nearest, points, chosen)
    with progress.step("coreset", wanted) as step:
        step.advance()
        while len(chosen) < wanted:
            farthest = nearest.topk(min(CHOICES_AT_A_TIME + 1, len(points)))
            rows, bound = farthest.indices[:-1], float(farthest.values[-1])
            latest = rows[_greedy(points[rows], nearest[rows], bound, wanted - len(chosen))]
            _approach(nearest, points, latest)
            chosen = torch.cat([chosen, latest])
            step.advance(len(latest))
    return chosen


def _greedy(points: Tensor, nearest: Tensor, bound: float, wanted: int) -> list[int]:
    """The farthest of points (R, A), one by one, while they are no nearer than `bound`."""
    mutual = torch.cdist(points, points).square()  # (R, R)
    chosen: list[int] = []
    while len(chosen) < wanted:
        latest = int(nearest.argmax())
        if chosen and nearest[latest] < bound:
            break
        chosen.append(latest)
        nearest = torch.minimum(nearest, mutual[latest])
    return chosen


def _approach(nearest: Tensor, points: Tensor, chosen: Tensor) -> None:
    """Bring the squared distances (P,) of points (P, A) to what rows `chosen` leave, in place."""
    those = points[chosen]  # (K, A)
    own = those.square().sum(1)
    for start in range(0, len(points), POINTS_AT_A_TIME):
        rows = slice(start, start + POINTS_AT_A_TIME)
        some = points[rows]
        squared = torch.addmm(own, some, those.T, alpha=-2).amin(1) + some.square().sum(1)
        torch.minimum(nearest[rows], squared, out=nearest[rows])
