"""A graph in ONNX Runtime on the CPU, where torch's answers come from, on any machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class Session:
    """A graph that is asked batch by batch."""

    def __init__(self, model: Path | bytes) -> None:
        options = onnxruntime.SessionOptions()
        # Threads that spin while they wait take the cores from torch, and from other processes
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the inputs."""
        return frozenset(tensor.name for tensor in self._session.get_inputs())

    def outputs(
        self, names: Sequence[str], batches: Iterable[Mapping[str, np.ndarray]]
    ) -> list[np.ndarray[Any, Any]]:
        """Outputs (N, ...), in the order of their names, for batches of inputs by theirs."""
        found = [self._session.run(names, batch) for batch in batches]
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]
