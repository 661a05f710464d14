"""CADA as published: Guo et al., "Absolute-Unified Multi-Class Anomaly Detection via
Class-Agnostic Distribution Alignment", arXiv 2404.00724.

A small head regresses from the image the mean û and the maximum γ̂ that the anomaly maps of
normal images of its (implicit) class have; the map is normalised as (M - û) / (γ̂ - û).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.gauge.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    normalised,
)

HIDDEN = 128
STEPS = 600
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2


class CadaPaper(Alignment):
    """A two-layer head on the image's embedding.

    The target of an image with a synthetic anomaly is that of the clean image, so that the head
    learns to predict the normal statistics also where there is a defect.
    """

    learns_anomalies = True

    def __init__(self, references: References) -> None:
        super().__init__(references)
        assert references.corrupted is not None
        maps = references.maps.float()
        mean = maps.mean((1, 2))
        targets = torch.stack([mean, maps.amax((1, 2)) - mean], dim=1)  # (N, 2) u, γ - u
        inputs = torch.stack([references.look.embedding, references.corrupted])  # (2, N, E)
        self.register_buffer("input_scale", references.look.embedding.std(0) + 1e-6)
        self.register_buffer("target_scale", targets.mean(0))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.head = nn.Sequential(
                nn.Linear(inputs.shape[-1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2)
            )
            self._fit(inputs, targets)
        self.requires_grad_(False)

    def _fit(self, inputs: Tensor, targets: Tensor) -> None:
        """Full-batch regression of the targets from clean and corrupted images alike."""
        optimizer = torch.optim.AdamW(
            self.head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        wanted = (targets / self.target_scale).expand(len(inputs), -1, -1)
        with torch.enable_grad():
            for _ in range(STEPS):
                loss = F.smooth_l1_loss(self._predict(inputs), wanted, beta=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def _predict(self, embeddings: Tensor) -> Tensor:
        """û and γ̂ - û (…, 2) in units of their mean; softplus keeps both positive."""
        return F.softplus(self.head(embeddings / self.input_scale))

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """(M - û) / (γ̂ - û), the paper's normalisation."""
        location, scale = (self._predict(look.embedding) * self.target_scale).unbind(1)
        return normalised(maps, location, scale.clamp_min(1e-6))
