"""A graph on one thread of ONNX Runtime, as beside others in the gateway."""

from __future__ import annotations

from pathlib import Path

import onnxruntime


def session(model: Path | bytes, profile: str | None = None) -> onnxruntime.InferenceSession:
    """Of a file or its content; `profile` begins the name of a file for the time of its nodes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
