"""Conformal calibration in the graph: from aligned scores to one threshold, and p-values."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from onegauge.library.conformal import calibrated
from onegauge.library.errors import LibraryError
from onegauge.training.errors import DataError


def highest_of(values: Tensor, pictures: Tensor) -> Tensor:
    """The highest of the values (N,) of each picture's tiles, in the pictures' order (n,)."""
    _, places = pictures.unique(return_inverse=True)
    highest = values.new_full((int(places.max()) + 1,), -torch.inf)
    return highest.scatter_reduce(0, places, values, "amax")


class Calibration(nn.Module):
    """The affine map that puts the typical normal score at 0 and the threshold at exactly 1.

    Being affine and increasing it moves no decision; being the same for the map, a pixel of the
    anomaly map and the score are read in one unit. Holds the sorted calibration scores for the
    p-value `(1 + #{calibration >= score}) / (n + 1)`, which is at most the promised rate where the
    score is 1 or more, and nowhere else.
    """

    scores: Tensor
    origin: Tensor
    span: Tensor

    def __init__(self, images: int) -> None:
        super().__init__()
        self.register_buffer("scores", torch.zeros(images))  # (n,) calibrated
        self.register_buffer("origin", torch.zeros(()))
        self.register_buffer("span", torch.ones(()))

    @classmethod
    def of(cls, aligned: Tensor, rate: float) -> Calibration:
        """Calibrate on the aligned scores (n,) of held-out normal images.

        Raises DataError when they are too much alike to tell what is normal.
        """
        try:
            found = calibrated(aligned.numpy(), rate)
        except LibraryError as exc:
            raise DataError(str(exc)) from exc
        calibration = cls(len(aligned))
        parts = (torch.from_numpy(np.asarray(part)) for part in found)
        calibration.origin, calibration.span, calibration.scores = parts
        return calibration

    def forward(self, aligned: Tensor) -> Tensor:
        """Aligned scores or maps of any shape, calibrated: anomalous from 1.0 on."""
        return (aligned - self.origin) / self.span

    def p_value(self, score: Tensor) -> Tensor:
        """Conformal p-values (B,) of calibrated scores (B,)."""
        reached = (self.scores >= score.unsqueeze(1)).float()  # (B, n)
        images = torch.ones_like(reached).sum(1)  # counted: n itself would be fixed by a trace
        return (1 + reached.sum(1)) / (images + 1)
