"""Frozen features of every training image, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, takewhile
from os import SEEK_END
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from onegauge.training.backbones.retrieval import Neighbours
from onegauge.training.progress import Progress

IMAGES, STAGE = "images.npy", "stage{}.npy"
BATCH = 16  # images at a time, of steps that the user sets no number for

Found = TypeVar("Found")


class Seen(NamedTuple):
    """A batch as a detector sees it."""

    image: Tensor  # uint8 (B, H, W, 3)
    stages: list[Tensor]  # the backbone's features [(B, C, H, W), …], finest first
    neighbours: Neighbours | None = None  # the normal images most like each, if they are known
    own: Tensor | None = None  # (B, 2) the groups that must not tell of each, first and last


class Features:
    """N images uint8 (N, H, W, 3) and the backbone's features, fp16 (N, C, H, W) a stage.

    Disk, not memory, bounds the number of images; the operating system caches what fits.
    """

    def __init__(
        self,
        images: np.ndarray,
        stages: Sequence[np.ndarray],
        device: torch.device,
        rows: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        neighbours: Neighbours | None = None,
        own: np.ndarray | None = None,
    ) -> None:
        self.images = images
        self.stages = tuple(stages)
        self.device = device
        self.rows = np.arange(len(images)) if rows is None else rows  # of the images in view
        # (N,) what must not tell how the others score: tiles of a picture, pictures of a part told
        self.groups = np.arange(len(images)) if groups is None else groups
        self.neighbours = neighbours  # of all N images, none of the groups that are their own
        # (N, 2) the first and the last group that must not tell how each scores: its own
        self.own = np.stack([self.groups, self.groups], axis=1) if own is None else own

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Sequence[int] | np.ndarray) -> Seen:
        """The images at `indices` and their features in fp32, on the device."""
        rows = self.rows[np.asarray(indices)]
        order = np.argsort(rows)  # a memory map reads forward faster
        back = torch.from_numpy(np.argsort(order))
        image, *stages = (
            torch.from_numpy(array[rows[order]])[back].to(self.device)
            for array in (self.images, *self.stages)
        )
        near = None
        if self.neighbours is not None:
            near = Neighbours(*(n[torch.from_numpy(rows)].to(self.device) for n in self.neighbours))
        own = torch.from_numpy(self.own[rows]).to(self.device)
        return Seen(image, [stage.float() for stage in stages], near, own)

    def batches(self, size: int = BATCH) -> Iterator[tuple[slice, Seen]]:
        """All features in order, `size` images at a time."""
        for start in range(0, len(self), size):
            rows = range(start, min(start + size, len(self)))
            yield slice(rows.start, rows.stop), self.batch(rows)

    def each(
        self, name: str, function: Callable[[Seen], Found], progress: Progress
    ) -> Iterator[Found]:
        """What a function finds in each batch, in order: a step of that name for the workers."""
        with progress.step(name, len(self)) as step:
            batches = (seen for _, seen in self.batches())
            for done, found in enumerate(progress.workers.map(function, batches)):
                yield found
                step.advance(min(BATCH, len(self) - BATCH * done))

    def subset(self, indices: np.ndarray) -> Features:
        """A view of some of the images, renumbered from 0."""
        chosen = self.rows[indices]
        beside = self.groups, self.neighbours, self.own
        return Features(self.images, self.stages, self.device, chosen, *beside)

    def beside(self, neighbours: Neighbours, own: np.ndarray) -> Features:
        """The same images with what is most like each of all N, but for the groups `own` (N, 2)."""
        beside = self.groups, neighbours, own
        return Features(self.images, self.stages, self.device, self.rows, *beside)

    @property
    def sources(self) -> np.ndarray:
        """The group of each image in view (len,)."""
        return self.groups[self.rows]


class FeatureWriter:
    """Writes images and features batch by batch, one file a stage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0

    def write(self, seen: Seen) -> None:
        """Append a batch."""
        arrays = [seen.image.cpu().numpy(), *(f.half().cpu().numpy() for f in seen.stages)]
        names = [IMAGES, *(STAGE.format(i) for i in range(len(seen.stages)))]
        for name, array in zip(names, arrays, strict=True):
            self._append(self.folder / name, array)
        self.written += len(seen.image)

    def _append(self, path: Path, array: np.ndarray) -> None:
        """Append along the first axis, for whose length numpy leaves room in the head of a file."""
        head = {
            "descr": np.lib.format.dtype_to_descr(array.dtype),
            "fortran_order": False,
            "shape": (self.written + len(array), *array.shape[1:]),
        }
        with path.open("r+b" if self.written else "wb") as file:
            np.lib.format.write_array_header_1_0(file, head)
            file.seek(0, SEEK_END)
            array.tofile(file)


def reopen(folder: Path, groups: np.ndarray, device: torch.device) -> Features:
    """What a FeatureWriter wrote into `folder`, and the group of each image (N,)."""
    names = (STAGE.format(i) for i in count())
    stages = takewhile(lambda name: (folder / name).exists(), names)
    files = [np.load(folder / name, mmap_mode="r") for name in (IMAGES, *stages)]
    return Features(files[0], files[1:], device, groups=groups)
