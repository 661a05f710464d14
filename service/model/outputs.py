"""What the graph gives for a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from onegauge.service.errors import BackendFailed
from onegauge.service.model.contract import ANOMALY_MAP, SCALARS

OUTPUTS = (*SCALARS, ANOMALY_MAP)


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

    def row(self, index: int) -> Self:
        """One image of the batch, as a batch of its own."""
        parts = (getattr(self, field.name)[index : index + 1] for field in fields(self))
        return type(self)(*parts)

    @classmethod
    def joined(cls, batches: Sequence[Self]) -> Self:
        """One batch of the images of several."""
        if len(batches) == 1:
            return batches[0]
        return cls(*(np.concatenate([getattr(b, f.name) for b in batches]) for f in fields(cls)))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.float32]], batch_size: int) -> Self:
        """Check what a backend returned; raises BackendFailed rather than judge by a NaN."""
        for name in OUTPUTS:
            if len(tensors[name]) != batch_size:
                raise BackendFailed(
                    f"{name} has shape {tensors[name].shape} for {batch_size} images."
                )
            if not np.isfinite(tensors[name]).all():
                raise BackendFailed(f"{name} has values that are not finite numbers.")
        scalars = {name: tensors[name].ravel() for name in SCALARS}
        return cls(anomaly_map=tensors[ANOMALY_MAP], **scalars)
