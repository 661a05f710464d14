"""PatchCore: Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (CVPR 2022).

A memory bank of locally aware patch features of normal images, thinned to a coreset by greedy
farthest-point sampling; a patch is as anomalous as it is far from its nearest memory.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.detectors.detector import Detector, FitOptions, smooth
from onegauge.training.progress import Progress

PROJECTION = 128  # dimensions in which the coreset is chosen (section 3.2)
OVERSAMPLING = 8  # patches at least that are drawn at random for each place in the bank
DRAWN = 240_000  # and at least in all, where there are so many: what is rare has to be among them
AXES = 64  # dimensions in which candidates for the nearest memory are found
CELL = 8  # memories that are near each other, each of which gives a candidate
NEAR, GROWTH, FEWEST = 1.8, 0.75, 160  # so many of N cells are compared with: 1.8 N^¾, at least 160
GROUP = 32  # cells of which the nearest is found at once
CANDIDATES = 4  # the nearest of all, of which the nearest in all dimensions is taken
POINTS_AT_A_TIME, CHOICES_AT_A_TIME = 2**16, 1024  # bound the memory of the coreset's choice


class PatchCore(Detector):
    """Memory bank over the last two stages, 3×3 neighbourhoods, nearest neighbour.

    Differences from the paper: stages are concatenated without adaptive pooling to 1024
    dimensions; the coreset is chosen among patches drawn at random from every image, of which
    neighbours are much alike; the bank has a fixed size, so that neither the cost of the choice
    nor that of an inspection grows with the data; an image is compared with the memories of a few
    cells of the bank, those that are near to any of its patches, which most of a bank of many
    products is not; the candidates for the nearest memory are the nearest in the bank's principal
    axes, and of a few candidates the one that is nearest in all dimensions counts.
    """

    bank: Tensor
    axes: Tensor
    centres: Tensor
    source: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        dimensions = sum(backbone.channels[-2:])
        self.register_buffer("bank", torch.empty(0, dimensions).half())  # (M, D)
        self.register_buffer("axes", torch.empty(dimensions, 0))  # (D, A)
        # (N, A) of cells in the axes; kept, so that a bank of before, in another order, is refused
        self.register_buffer("centres", torch.empty(0, 0))
        self.register_buffer("source", torch.empty(0, dtype=torch.int32))  # (M,) group

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
        self.remember(patches[chosen], source[chosen])

    def remember(self, patches: Tensor, source: Tensor) -> None:
        """Take patches (M, D) of the groups `source` (M,) for the memory bank."""
        self.axes = _principal_axes(patches)
        order = _by_cells(patches @ self.axes)
        self.bank, self.source = patches[order].half(), source[order]
        cells = (self.bank.float() @ self.axes).split(CELL)
        self.centres = torch.stack([cell.mean(0) for cell in cells])

    @torch.inference_mode()
    def _draw(
        self, features: Features, bank_size: int, generator: torch.Generator, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """As many random patches of every image: (P, D), and the group of each (P,)."""
        wanted = -(-max(OVERSAMPLING * bank_size, DRAWN) // len(features))
        drawn, source = [], []
        with progress.step("patches", len(features)) as step:
            for rows, batch in features.batches():
                patches = _patches(batch).flatten(1, 2)  # (B, H·W, D)
                order = torch.rand(patches.shape[:2], generator=generator).argsort(1)[:, :wanted]
                order = order.to(patches.device)
                some = patches.gather(1, order[..., None].expand(-1, -1, patches.shape[2]))
                drawn.append(some.flatten(0, 1))
                groups = torch.from_numpy(features.sources[rows].astype(np.int32))
                source.append(groups.repeat_interleave(order.shape[1]).to(patches.device))
                step.advance(len(patches))
        return torch.cat(drawn), torch.cat(source)

    @torch.inference_mode()
    def out_of_fold(self, features: Features, progress: Progress) -> Tensor:
        """Maps (N, h, w) fp16 of the fitted images, each without the memories of its own group."""
        maps = []
        with progress.step("out of fold", len(features)) as step:
            for rows, batch in features.batches():
                groups = torch.from_numpy(features.sources[rows].astype(np.int32))
                maps.append(self._as_map(batch, groups.to(features.device)).half().cpu())
                step.advance(rows.stop - rows.start)
        return torch.cat(maps)

    def _as_map(self, seen: Seen, own: Tensor | None = None) -> Tensor:
        """Raw maps (B, h, w), without the memories of the images' `own` groups (B,) if given."""
        patches = _patches(seen)  # (B, H, W, D)
        maps = self._nearest(patches, own).view(patches.shape[:3]).sqrt().unsqueeze(1)
        size = seen.stages[0].shape[-2:]
        maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        return smooth(maps, self.stride).squeeze(1)

    def _nearest(self, patches: Tensor, own: Tensor | None) -> Tensor:
        """Squared distances (B, H·W) of patches (B, H, W, D) to their nearest memories.

        Memories of the group `own` (B,) of an image are left out.
        """
        memories = self.bank.float()
        nearest = []
        for candidate in self._candidates(patches, memories, own).unbind(2):  # (B, H·W)
            apart = patches.flatten(1, 2) - memories[candidate]  # (B, H·W, D)
            squared = (apart * apart).sum(2)  # a graph's power of two takes longer
            if own is not None:  # there may be no other
                squared.masked_fill_(self.source[candidate] == own[:, None], torch.inf)
            nearest.append(squared)
        return torch.stack(nearest).amin(0)

    def _candidates(self, patches: Tensor, memories: Tensor, own: Tensor | None) -> Tensor:
        """The rows (B, H·W, C) of memories (M, D) near in the axes to patches (B, H, W, D).

        It is the nearest that have to be found, not their distances: a patch's own norm and
        whatever the axes leave out are the same for all, or nearly.
        """
        rows = torch.arange(CELL * len(self.centres), device=memories.device)
        rows = rows.clamp_max(len(memories) - 1).view(-1, CELL)  # (N, CELL), the last one filled
        theirs = None if own is None else self.source[rows] == own[:, None, None]  # (B, N, CELL)
        asked = _asking(patches @ self.axes)  # (B, H, W, A + 2)
        cells = self._near_cells(asked, None if theirs is None else theirs.all(2))  # (B, n)
        asked, answering = asked.flatten(1, 2), _answering(memories @ self.axes)[rows]
        found = []
        for place in range(CELL):  # of each cell one, of which the nearest to a patch is found
            apart = asked @ answering[:, place][cells].mT  # (B, H·W, n)
            if theirs is not None:
                mine = theirs[:, :, place].gather(1, cells)
                apart.masked_fill_(mine.unsqueeze(1), torch.inf)
            distance, column = _least(apart)
            cell = cells.gather(1, column.flatten(1)).unsqueeze(2)
            found.append((distance, rows[:, place][cell]))
        distances, found_rows = (torch.cat(columns, dim=2) for columns in zip(*found, strict=True))
        few = distances.topk(CANDIDATES, dim=2, largest=False, sorted=False)
        return found_rows.gather(2, few.indices)

    def _near_cells(self, asked: Tensor, without: Tensor | None) -> Tensor:
        """The cells (B, n) that are near to any patch asked for (B, H, W, A + 2).

        Those that are the nearest of a patch come first, then those that are so but for little. Of
        the patches every second along each side is asked: neighbours are much alike. Cells
        `without` (B, N) a memory to compare with come last.
        """
        apart = asked[:, ::2, ::2].flatten(1, 2) @ _answering(self.centres).mT  # (B, q, N)
        if without is not None:
            apart.masked_fill_(without.unsqueeze(1), torch.inf)
        behind = (apart - apart.amin(2, keepdim=True)).amin(1)  # (B, N)
        wanted = _near(len(self.centres))
        return behind.topk(wanted, dim=1, largest=False, sorted=False).indices


def _near(cells: int) -> int:
    """How many of a bank's cells an image is compared with: whole groups, all of a small bank."""
    return min(max(GROUP * math.ceil(NEAR * cells**GROWTH / GROUP), FEWEST), cells)


def _asking(points: Tensor) -> Tensor:
    """Points (…, A) as (…, A + 2), whose products with what `_answering` gives are distances."""
    return torch.cat([-2 * points, torch.ones_like(points[..., :2])], dim=-1)


def _answering(points: Tensor) -> Tensor:
    """Points (…, A) with their squared norms as two more columns (…, A + 2).

    The product of one `_asking` and one answering is their squared distance less the norm of the
    one that asks. In two columns a norm survives a product in bfloat16.
    """
    norms = points.square().sum(-1, keepdim=True)
    coarse = norms.bfloat16().float()
    return torch.cat([points, coarse, norms - coarse], dim=-1)


def _least(values: Tensor) -> tuple[Tensor, Tensor]:
    """The least of each row of (B, P, m), and its column, both (B, P, 1).

    By the least of groups, that is without a place for each: several times as fast as to look for
    the place in the whole row.
    """
    width = values.shape[2]
    groups = -(-width // GROUP)
    filled = values
    if spare := groups * GROUP - width:
        filled = F.pad(values, (0, spare), value=torch.inf)
    lowest = filled.unflatten(2, (GROUP, groups)).amin(2)  # (B, P, g) of columns g apart
    group = lowest.argmin(2, keepdim=True)
    columns = group + groups * torch.arange(GROUP, device=values.device)  # (B, P, GROUP)
    columns = columns.clamp_max(width - 1)
    place = values.gather(2, columns).argmin(2, keepdim=True)
    return lowest.amin(2, keepdim=True), columns.gather(2, place)


def _by_cells(points: Tensor) -> Tensor:
    """An order (M,) of points (M, A) in which CELL that follow each other are near each other.

    They are halved, and each half again, across the direction in which they differ most.
    """
    cells: list[Tensor] = []

    def halve(rows: Tensor) -> None:
        wanted = -(-len(rows) // CELL)
        if wanted < 2:
            cells.append(rows)
            return
        apart = points[rows] - points[rows].mean(0)
        widest = torch.linalg.eigh(apart.T @ apart)[1][:, -1]
        ordered = rows[(apart @ widest).argsort()]
        first, second = ordered.tensor_split([CELL * (wanted // 2)])
        halve(first)
        halve(second)

    halve(torch.arange(len(points), device=points.device))
    return torch.cat(cells)


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
