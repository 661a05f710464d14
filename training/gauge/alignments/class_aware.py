"""Class-aware alignment: what could be done if the product were known (for comparison)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from onegauge.training.errors import DataError
from onegauge.training.gauge.alignments.alignment import (
    Aligned,
    Alignment,
    Look,
    References,
    normalised,
)
from onegauge.training.gauge.alignments.views import TwoViews


class ByProduct(Alignment):
    """A location and a scale of each product.

    Given the products this is class-aware alignment in training and test; `forward`, which is
    not given them, takes the product of the most similar reference (labels in training only).
    """

    table: Tensor
    labels: Tensor

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.products = tuple(dict.fromkeys(references.products))
        labels = torch.tensor([self.products.index(p) for p in references.products])
        for product in self.products:
            if references.products.count(product) < 2:
                raise DataError(f"training has a single image of the product {product!r}")
        self.register_buffer("labels", labels)  # (N,)
        self.register_buffer("table", torch.zeros(len(self.products), 2))  # location, scale

    def forward(self, maps: Tensor, look: Look) -> Aligned:
        """Align by the product of the nearest reference."""
        return self._by_label(maps, look, self.labels[look.neighbours.rows[:, 0]])

    def given_products(self, maps: Tensor, look: Look, products: Sequence[str]) -> Aligned:
        """Align by the products; one that was not in training raises DataError."""
        unknown = sorted(set(products) - set(self.products))
        if unknown:
            raise DataError(f"training knows no product {unknown[0]!r}")
        labels = torch.tensor([self.products.index(p) for p in products])
        return self._by_label(maps, look, labels)

    def _of_each(self, values: Tensor) -> list[Tensor]:
        """The values (N, ...) of the references, product by product."""
        return [values[self.labels == i] for i in range(len(self.products))]

    def _by_label(self, maps: Tensor, look: Look, labels: Tensor) -> Aligned:  # noqa: ARG002
        return normalised(maps, *self.table[labels].unbind(1))


class ClassAware(ByProduct):
    """Each product's own mean and deviation of normal image scores, of the views that `cada` has.

    What `cada` gains beyond it, it gains by a finer class than the product, not by another view.
    Location and scale told are those of the raw maps.
    """

    joined: Tensor

    def __init__(self, references: References) -> None:
        super().__init__(references)
        self.views = TwoViews(references)
        self.table = self._statistics(references.scoring(references.maps.float()))
        self.register_buffer("joined", self._statistics(self.views.scores))  # of products

    def _statistics(self, scores: Tensor) -> Tensor:
        """Mean and deviation (P, 2) of the scores (N,) of each product."""
        return torch.stack([torch.stack([s.mean(), s.std()]) for s in self._of_each(scores)])

    def _by_label(self, maps: Tensor, look: Look, labels: Tensor) -> Aligned:
        joined = self.views(maps, look.neighbours)
        aligned = normalised(joined, *self.joined[labels].unbind(1))
        return Aligned(aligned.maps, *self.table[labels].unbind(1))


class ClassSeparated(ClassAware):
    """The product is known everywhere: its own images alone are neighbours, too."""

    separates = True


class ClassAwareTraining(ClassAware):
    """Labels in training only: the product is inferred even where it is known, as when exported."""

    def given_products(self, maps: Tensor, look: Look, products: Sequence[str]) -> Aligned:  # noqa: ARG002
        """Align by the product of the nearest reference."""
        return self(maps, look)


class ClassAwareMax(ByProduct):
    """The paper's class-aware form: each product's mean u and maximum γ over all normal pixels."""

    def __init__(self, references: References) -> None:
        super().__init__(references)
        maps = self._of_each(references.maps.float())
        self.table = torch.stack([torch.stack([m.mean(), m.amax() - m.mean()]) for m in maps])
