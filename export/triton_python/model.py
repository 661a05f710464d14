"""Triton Python-backend model: runs the `model.onnx` beside this file with onnxruntime.

For servers without the ONNX Runtime backend. A copy lies in every version folder published for the
Python backend; it imports nothing but numpy, onnxruntime and Triton's own module. Tensors cross by
DLPack: without a copy, and right also where the backend was built for another numpy.
"""

import ctypes
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the library is loaded
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # fp32 is what the model is calibrated in

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    RuntimeException,
)

PROVIDERS = {
    "CPU": ["CPUExecutionProvider"],
    "GPU": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}

_TAKEN_OVER = b"used_dltensor"  # a capsule's name, which has to live as long


class TritonPythonModel:
    """One instance of the model; Triton calls its methods by name."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the graph; the names of its tensors come from config.pbtxt."""
        config = json.loads(args["model_config"])
        self.input = config["input"][0]["name"]
        self.outputs = [output["name"] for output in config["output"]]
        options = onnxruntime.SessionOptions()
        # Threads that spin while they wait take the cores from whoever decodes beside the server.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            Path(__file__).with_name("model.onnx"),
            options,
            PROVIDERS[args["model_instance_kind"]],
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer all requests of a dynamic batch, at most max_batch_size images, by one run."""
        inputs = (pb_utils.get_input_tensor_by_name(r, self.input) for r in requests)
        parts = [np.from_dlpack(tensor) for tensor in inputs]
        images = parts[0] if len(parts) == 1 else np.concatenate(parts)  # (B, H, W, 3)
        asked = {name for r in requests for name in r.requested_output_names()}
        names = [name for name in self.outputs if name in asked]
        try:
            outputs = self.session.run(names, {self.input: images})
        except (Fail, InvalidArgument, RuntimeException) as exc:
            if len(requests) > 1:  # one bad request must not fail its neighbours
                return [response for r in requests for response in self.execute([r])]
            error = pb_utils.TritonError(f"onnxruntime failed on {len(images)} images: {exc}")
            return [pb_utils.InferenceResponse(error=error)]
        return self._split(dict(zip(names, outputs, strict=True)), [len(part) for part in parts])

    def _split(self, outputs: dict[str, Any], sizes: list[int]) -> list[Any]:
        """Cut the outputs of the batch, each (B, ...), into one response per request.

        Triton leaves out of each what its request has not asked for.
        """
        responses, start = [], 0
        for size in sizes:
            tensors = [
                _handed_over(name, values[start : start + size]) for name, values in outputs.items()
            ]
            responses.append(pb_utils.InferenceResponse(tensors))
            start += size
        return responses


def _handed_over(name: str, values: Any) -> Any:
    """An output for Triton by DLPack.

    Triton renames the capsule that it has taken over to something else than the standard says, at
    which NumPy writes a traceback to the log for each when it is freed.
    """
    capsule = values.__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), _TAKEN_OVER)
    return tensor
