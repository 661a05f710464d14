"""Gallery: the patches of an image against those of the normal images that look most like it.

Retrieval of similar normal images is that of Cohen and Hoshen, "Sub-Image Anomaly Detection with
Deep Pyramid Correspondences" (2020), and of RAD (arXiv 2601.22763); that patches are 3×3 means and
are thinned by farthest-point sampling, of PatchCore (Roth et al., CVPR 2022). A distance counts in
the measure of what is usual at the memory that is nearest, as in the local outlier factor (Breunig
et al., 2000).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.library.memories import FLOOR, MEMORIES, SHARPNESS
from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.compiled import Compiled, pays
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.detectors.coreset import farthest_points_of_each
from onegauge.training.detectors.detector import Detector, FitOptions, smooth
from onegauge.training.detectors.patches import local_patches
from onegauge.training.progress import Progress

AXES = 64  # principal axes in which patches are compared
EVENING = 0.25  # of an axis's variance that is taken out, as an exponent: weak axes tell, too
LEAST = 1e-6  # of the first axis's variance, that no axis's is under: patches may be few
SAMPLE = 200  # images in which the axes are found
RANGE = 6.0  # standard deviations of the first axis that int8 covers to either side


class Beside(NamedTuple):
    """What images are compared with."""

    memories: Tensor  # int8 (B, k, M, A) of the neighbours
    usual: Tensor  # fp16 (B, k, M) what a distance to each is divided by


class Gallery(Detector):
    """A small coreset of every normal image's own patches, in 8 bits; nothing common to all.

    The map has the resolution of the last stage but one.
    """

    leaves_one_out = True
    axes: Tensor
    origin: Tensor
    memories: Tensor
    usual: Tensor
    places: Tensor
    plain: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        self.channels = list(backbone.channels)
        channels = sum(self.channels)
        self.register_buffer("axes", torch.empty(channels, min(AXES, channels)))  # (D, A)
        self.register_buffer("origin", torch.empty(min(AXES, channels)))
        # (N, M, A) of N references, and what a distance to each is divided by (N, M)
        self.register_buffer("memories", torch.empty(0, MEMORIES, 0, dtype=torch.int8))
        self.register_buffer("usual", torch.empty(0, MEMORIES, dtype=torch.half))
        # (N, M) pixels of the map, row by row, that memories were seen at; inspection needs none
        self.register_buffer("places", torch.empty(0, MEMORIES, dtype=torch.int32))
        # (N, h, w) maps of the references among each other by distances as they are
        self.register_buffer("plain", torch.empty(0, 1, 1, dtype=torch.half))
        self._compiled: Compiled | None = None  # of these axes

    @staticmethod
    def stride_of(backbone: Backbone) -> int:
        """That of the last stage but one."""
        return backbone.strides[-2:][0]

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): distance to the nearest memory of any neighbour, smoothed."""
        return self.with_points(seen)[0]

    def with_points(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """The raw map, and the patches (B, h, w, A) that are compared for it."""
        points = self.points(seen.stages)
        return self.compare(points, self.beside(seen)), points

    @torch.inference_mode()
    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:  # noqa: ARG002
        """Remember the images, each of which is its own reference of the same number."""
        self._find_axes(features)
        self._compiled = None
        memories, places = self._remember(features, progress)
        self.memories, self.places = memories, places.int()
        self.usual = torch.ones_like(places, dtype=torch.half)
        quickest = self.quickest(len(features), features.batch([0]))
        maps = torch.cat([*features.each("usual", quickest, progress)])
        self.plain = maps.half()
        around = F.avg_pool2d(maps.unsqueeze(1), 3, 1, 1, count_include_pad=False).flatten(1)
        usual = around.gather(1, places)  # (N, M)
        floor = (FLOOR * usual.mean()).clamp_min(1e-6)
        self.usual = (usual.clamp_min(floor) ** SHARPNESS).half()

    def quickest(self, images: int, seen: Seen) -> Callable[[Seen], Tensor]:
        """A graph, where there are enough images for one."""
        if self._compiled is None:
            if not pays(images, seen.image.device):
                return self
            first = [part[:1] for part in (*self.beside(seen), *seen.stages)]
            self._compiled = Compiled.of(_Comparing(self), first)
        return _Quicker(self, self._compiled)

    def plain_maps(self, out_of_fold: Tensor) -> Tensor:  # noqa: ARG002
        """Those by distances that are not divided by what is usual."""
        return self.plain.cpu()

    def points(self, stages: list[Tensor]) -> Tensor:
        """Patches (B, h, w, A) in the axes: 3×3 means of all stages [(B, C, H, W), …]."""
        return local_patches(stages) @ self.axes - self.origin

    def beside(self, seen: Seen) -> Beside:
        """What images are compared with: in place of what they must not be, with the nearest."""
        rows, weights = seen.neighbours
        rows = torch.where(weights == 0, rows[:, :1], rows)
        return Beside(self.memories[rows], self.usual[rows])

    def compare(self, points: Tensor, beside: Beside) -> Tensor:
        """Smoothed distances (B, h, w) of points (B, h, w, A) to the neighbours' memories."""
        memories = beside.memories.float()
        strange = beside.usual.float().unsqueeze(3) ** -2  # (B, k, M, 1)
        # products, as powers take ONNX Runtime three times as long
        norms = (memories * memories).sum(3, keepdim=True) * strange
        # |x - m|² / u² as one product: (|x|², x, 1) · (1 / u², -2 m / u², |m|² / u²)
        answering = torch.cat([strange, -2 * memories * strange, norms], dim=3).flatten(1, 2)
        patches = points.flatten(1, 2)  # (B, P, A)
        own = (patches * patches).sum(2, keepdim=True)
        asking = torch.cat([own, patches, torch.ones_like(own)], dim=2)
        squared = asking @ answering.mT  # (B, P, k·M)
        nearest = squared.amin(2).clamp_min(0).sqrt().view(points.shape[:3])
        return smooth(nearest.unsqueeze(1), self.stride).squeeze(1)

    def _find_axes(self, features: Features) -> None:
        """The principal axes of patches, stages weighed, evened, in the unit of `memories`."""
        mean, covariance = _moments(features)
        weights = self._weights(covariance.diagonal())
        variances, directions = torch.linalg.eigh(weights[:, None] * covariance * weights)
        kept = self.axes.shape[1]
        variances, directions = variances.flip(0)[:kept], directions.flip(1)[:, :kept]
        first = variances[0].clamp_min(1e-12)
        variances = variances.clamp_min(LEAST * first)
        unit = 127 / (RANGE * first ** ((1 - EVENING) / 2))
        evened = unit * directions * variances ** -(EVENING / 2)
        self.axes = (weights[:, None] * evened).float()  # (D, A)
        self.origin = mean.float() @ self.axes

    def _weights(self, variances: Tensor) -> Tensor:
        """Weights (D,) by which the finest stage varies at least as much as others on average.

        `variances` (D,) are those of the channels, stage by stage. Small defects are in the finest,
        which of some networks hardly varies beside the others.
        """
        finest, *others = (stage.sum() for stage in variances.split(self.channels))
        weights = torch.ones_like(variances)
        if others:
            average = torch.stack(others).mean()
            raised = (average / finest.clamp_min(LEAST * average.clamp_min(1e-12))).sqrt()
            weights[: self.channels[0]] = raised.clamp_min(1)
        return weights

    def _remember(self, features: Features, progress: Progress) -> tuple[Tensor, Tensor]:
        """Memories int8 (N, M, A) of all images, and where on the map each was (N, M)."""
        found = features.each("memories", self._remembered, progress)
        memories, places = zip(*found, strict=True)
        return torch.cat(memories), torch.cat(places)

    def _remembered(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """The same of a batch, (B, M, A) and (B, M)."""
        points = self.points(seen.stages).flatten(1, 2)  # (B, P, A)
        chosen = farthest_points_of_each(points, MEMORIES)  # (B, M)
        those = points.gather(1, chosen[..., None].expand(-1, -1, points.shape[2]))
        return those.round().clamp(-127, 127).to(torch.int8), chosen


class _Comparing(nn.Module):
    """All of a gallery but its library."""

    def __init__(self, gallery: Gallery) -> None:
        super().__init__()
        self.gallery = gallery

    def forward(self, memories: Tensor, usual: Tensor, *stages: Tensor) -> Tensor:
        points = self.gallery.points([*stages])
        return self.gallery.compare(points, Beside(memories, usual))


@dataclass(frozen=True)
class _Quicker:
    """A gallery that compares by a graph."""

    gallery: Gallery
    compiled: Compiled

    def __call__(self, seen: Seen) -> Tensor:
        return self.compiled(*self.gallery.beside(seen), *seen.stages)[0]


def _moments(features: Features) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) of patches in fp64, an image at a time: they may be wide."""
    count, total, products = 0, 0.0, 0.0
    for row in range(0, len(features), max(1, len(features) // SAMPLE)):
        patches = local_patches(features.batch([row]).stages).flatten(0, 2).double()  # (P, D)
        count += len(patches)
        total = total + patches.sum(0)
        products = products + patches.T @ patches
    mean = total / count
    return mean, products / count - mean.outer(mean)
