"""An ONNX file in ONNX Runtime on the CPU, where torch's answers come from, on any machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from onegauge.service.model.contract import IMAGE


class Session:
    """A graph that is asked batch by batch."""

    def __init__(self, model: Path) -> None:
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(model, providers=providers)

    def outputs(
        self, names: Sequence[str], batches: Iterable[np.ndarray]
    ) -> list[np.ndarray[Any, Any]]:
        """Outputs (N, ...), in the order of their names, for batches uint8 (B, H, W, 3)."""
        found = [self._session.run(names, {IMAGE: batch}) for batch in batches]
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]
