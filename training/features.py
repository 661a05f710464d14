"""Frozen features of every training image, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Features:
    """The backbone's features of N images, one fp16 memory map (N, C, H, W) a stage.

    Disk, not memory, bounds the number of images; the operating system caches what fits.
    """

    def __init__(
        self, stages: Sequence[np.ndarray], device: torch.device, rows: np.ndarray | None = None
    ) -> None:
        self.stages = tuple(stages)
        self.device = device
        self.rows = np.arange(len(stages[0])) if rows is None else rows  # of the images in view

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Sequence[int] | np.ndarray) -> list[Tensor]:
        """Features of the images at `indices`, fp32 [(B, C, H, W), …] on the device."""
        rows = self.rows[np.asarray(indices)]
        order = np.argsort(rows)  # a memory map reads forward faster
        back = torch.from_numpy(np.argsort(order))
        return [
            torch.from_numpy(stage[rows[order]])[back].to(self.device).float()
            for stage in self.stages
        ]

    def batches(self, size: int = 16) -> Iterator[tuple[slice, list[Tensor]]]:
        """All features in order, `size` images at a time."""
        for start in range(0, len(self), size):
            rows = range(start, min(start + size, len(self)))
            yield slice(rows.start, rows.stop), self.batch(rows)

    def subset(self, indices: np.ndarray) -> Features:
        """A view of some of the images, renumbered from 0."""
        return Features(self.stages, self.device, self.rows[indices])


class FeatureWriter:
    """Writes features batch by batch into one file a stage, for up to `capacity` images."""

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self.capacity = capacity
        self.written = 0
        self.stages: list[np.ndarray] = []
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, features: Sequence[Tensor]) -> None:
        """Append the features [(B, C, H, W), …] of a batch."""
        if not self.stages:
            self.stages = [
                np.lib.format.open_memmap(
                    self.folder / f"stage{i}.npy", "w+", np.float16, (self.capacity, *f.shape[1:])
                )
                for i, f in enumerate(features)
            ]
        for stage, f in zip(self.stages, features, strict=True):
            stage[self.written : self.written + len(f)] = f.half().cpu().numpy()
        self.written += len(features[0])


def reopen(folder: Path, images: int, device: torch.device) -> Features:
    """The first `images` of what a FeatureWriter wrote into `folder`."""
    files = sorted(folder.glob("stage*.npy"))
    return Features([np.load(f, mmap_mode="r")[:images] for f in files], device)
