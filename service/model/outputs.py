"""What the graph gives for a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from onegauge.service.errors import BackendFailed
from onegauge.service.model.contract import ANOMALY_MAP, EXPLAINING, SCALARS

OUTPUTS = (*SCALARS, ANOMALY_MAP)
EXPLAINED = (*OUTPUTS, *EXPLAINING)


class Insight(NamedTuple):
    """What the graph compared the images of a batch with: only where that is asked for."""

    neighbours: NDArray[np.int32]  # (B, k) numbers of the references, the nearest first
    weights: NDArray[np.float32]  # (B, k) that add up to 1; 0 for what was not compared with
    points: NDArray[np.float32]  # (B, h, w, A) patches of the images, as references remember theirs

    def row(self, index: int) -> Self:
        """One image of the batch, as a batch of its own."""
        own = slice(index, index + 1)
        return type(self)(self.neighbours[own], self.weights[own], self.points[own])


@dataclass(frozen=True)
class Outputs:
    """The graph's answer for a batch, float32; the scalars are (B,), the map is (B, h, w)."""

    score: NDArray[np.float32]
    p_value: NDArray[np.float32]
    raw_score: NDArray[np.float32]
    normal_location: NDArray[np.float32]
    normal_scale: NDArray[np.float32]
    novelty: NDArray[np.float32]
    anomaly_map: NDArray[np.float32]
    insight: Insight | None = None

    def row(self, index: int) -> Self:
        """One image of the batch, as a batch of its own."""
        if len(self.score) == 1:
            return self
        own = slice(index, index + 1)
        parts = {name: getattr(self, name)[own] for name in OUTPUTS}
        return type(self)(**parts, insight=self.insight and self.insight.row(index))

    @classmethod
    def joined(cls, batches: Sequence[Self]) -> Self:
        """One batch of the images of several."""
        if len(batches) == 1:
            return batches[0]
        told = [batch.insight for batch in batches if batch.insight]
        insight = Insight(*map(np.concatenate, zip(*told, strict=True))) if told else None
        parts = {name: [getattr(batch, name) for batch in batches] for name in OUTPUTS}
        return cls(**{n: np.concatenate(p) for n, p in parts.items()}, insight=insight)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], batch_size: int) -> Self:
        """Check what a backend returned, OUTPUTS or all that is EXPLAINED.

        Raises BackendFailed rather than judge by a NaN.
        """
        for name in tensors:
            if len(tensors[name]) != batch_size:
                raise BackendFailed(
                    f"{name} has shape {tensors[name].shape} for {batch_size} images."
                )
            if not np.isfinite(tensors[name]).all():
                raise BackendFailed(f"{name} has values that are not finite numbers.")
        scalars = {name: tensors[name].ravel() for name in SCALARS}
        insight = None
        if tensors.keys() >= set(EXPLAINING):
            insight = Insight(*(tensors[name] for name in EXPLAINING))
        return cls(anomaly_map=tensors[ANOMALY_MAP], insight=insight, **scalars)
