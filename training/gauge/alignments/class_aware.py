"""Class-aware alignment: what could be done if the product were known (for comparison)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from onegauge.training.backbones.neighbours import nearest
from onegauge.training.errors import DataError
from onegauge.training.gauge.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    normalised,
)


class ClassAware(Alignment):
    """Each product's own mean and deviation of normal image scores (a z-score).

    Given the products this is class-aware alignment in training and test; `forward`, which is
    not given them, takes the product of the most similar reference (labels in training only).
    """

    table: Tensor
    labels: Tensor
    embeddings: Tensor

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.products = tuple(dict.fromkeys(references.products))
        labels = torch.tensor([self.products.index(p) for p in references.products])
        for product in self.products:
            if references.products.count(product) < 2:
                raise DataError(f"training has a single image of the product {product!r}")
        rows = [self._statistics(references, labels == i) for i in range(len(self.products))]
        self.register_buffer("table", torch.stack(rows))  # (P, 2) location, scale
        self.register_buffer("labels", labels)  # (N,)
        self.register_buffer("embeddings", references.look.embedding)  # (N, E)

    def _statistics(self, references: References, chosen: Tensor) -> Tensor:
        scores = references.scoring(references.maps[chosen].float())
        return torch.stack([scores.mean(), scores.std()])

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align by the product of the nearest reference."""
        return self._by_label(maps, self.labels[nearest(look.embedding, self.embeddings, 1)[:, 0]])

    def given_products(self, maps: Tensor, look: Look, products: Sequence[str]) -> Aligned:  # noqa: ARG002
        """Align by the products; one that was not in training raises DataError."""
        unknown = sorted(set(products) - set(self.products))
        if unknown:
            raise DataError(f"training knows no product {unknown[0]!r}")
        return self._by_label(maps, torch.tensor([self.products.index(p) for p in products]))

    def _by_label(self, maps: Tensor, labels: Tensor) -> Aligned:
        location, scale = self.table[labels].unbind(1)
        return normalised(maps, location, scale)


class ClassAwareTraining(ClassAware):
    """Labels in training only: the product is inferred even where it is known, as when exported."""

    def given_products(self, maps: Tensor, look: Look, products: Sequence[str]) -> Aligned:  # noqa: ARG002
        """Align by the product of the nearest reference."""
        return self(maps, look)


class ClassAwareMax(ClassAware):
    """The paper's class-aware form: each product's mean u and maximum γ over all normal pixels."""

    def _statistics(self, references: References, chosen: Tensor) -> Tensor:
        maps = references.maps[chosen].float()
        return torch.stack([maps.mean(), maps.amax() - maps.mean()])
