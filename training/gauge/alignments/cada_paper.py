"""CADA as published: Guo et al., "Absolute-Unified Multi-Class Anomaly Detection via
Class-Agnostic Distribution Alignment", arXiv 2404.00724.

A small head regresses from the image the mean û and the maximum γ̂ that the anomaly maps of
normal images of its (implicit) class have; the map is normalised as (M - û) / (γ̂ - û).
"""

from __future__ import annotations

import torch
from torch import Tensor

from onegauge.training.gauge.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    normalised,
)

RIDGE = 0.5  # penalty of the regression, in variances of the embedding's mean component


class CadaPaper(Alignment):
    """A linear head on the image's embedding, fitted by ridge regression in closed form.

    It follows what a kind of image has, not what one image has alone: the less a component of the
    embedding varies, the less it counts.
    """

    weight: Tensor
    bias: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, references: References) -> None:
        super().__init__(references)
        maps, embedding = references.maps.float(), references.look.embedding
        mean = maps.mean((1, 2))
        scale = (maps.amax((1, 2)) - mean).clamp_min(1e-6)
        targets = torch.stack([mean, scale], dim=1)  # (N, 2) u, γ - u
        weight, bias = ridge(embedding, targets)
        # What is predicted is the mean of the maxima of a kind, and its maximum lies above that.
        bias[1] += (targets - (embedding @ weight + bias))[:, 1].std()
        self.register_buffer("weight", weight)  # (E, 2)
        self.register_buffer("bias", bias)  # (2,)
        self.register_buffer("least", targets.amin(0))  # (2,)
        self.register_buffer("most", targets.amax(0))  # (2,)

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """(M - û) / (γ̂ - û), the paper's normalisation; both as far as references had them."""
        predicted = look.embedding @ self.weight + self.bias  # (B, 2) û, γ̂ - û
        return normalised(maps, *predicted.clamp(self.least, self.most).unbind(1))


def ridge(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (E, T) and bias (T,) of the linear map from inputs (N, E) to targets (N, T).

    Ridge regression (Hoerl and Kennard, Technometrics 1970).
    """
    centred, wanted = (inputs - inputs.mean(0)).double(), (targets - targets.mean(0)).double()
    covariance = centred.T @ centred / len(inputs)  # (E, E)
    covariance.diagonal().add_((RIDGE * covariance.diag().mean()).clamp_min(1e-6))
    weight = torch.linalg.solve(covariance, centred.T @ wanted / len(inputs)).float()
    return weight, targets.mean(0) - inputs.mean(0) @ weight
