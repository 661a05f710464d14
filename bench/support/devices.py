"""A gauge on a GPU by ONNX Runtime and by torch, or on the CPU where there is none.

What is timed is all there before: matrices, images and outputs stay on the device.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.support.operations import operations
from onegauge.export.precision import to_half
from onegauge.service.model.contract import IMAGE
from onegauge.service.model.outputs import OUTPUTS
from onegauge.training.checkpoint import load
from rig import Missing

CUDA, TENSORRT, CPU = (f"{name}ExecutionProvider" for name in ("CUDA", "Tensorrt", "CPU"))
PRECISIONS = {"fp32": np.float32, "fp16": np.float16}  # fp16 in the networks of a graph alone
Work = Callable[[], object]


def gpu() -> str:
    """Name and driver of the GPU, empty where there is none."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class Runtime(Protocol):
    """A library that computes on the device."""

    @property
    def operations(self) -> int:
        """Multiplications and additions of one image."""

    def product(self, precision: str, side: int) -> Work:
        """A product of two square matrices."""

    def graph(self, precision: str, batch: int) -> Work:
        """An inspection of so many images."""


class OnnxRuntime:
    """A graph in fp32; `first` and what follows it are ONNX Runtime's providers.

    Raises Missing where the first of them cannot be loaded.
    """

    def __init__(self, model: Path, first: str, options: dict[str, Any] | None = None) -> None:
        self._file = model
        self._first = first
        self._providers = [(first, options or {}), *(p for p in (CUDA, CPU) if p != first)]
        if first == CPU:
            self._providers = [CPU]
        self._place = ("cpu" if first == CPU else "cuda", 0)

    @cached_property
    def operations(self) -> int:
        """Multiplications and additions of one image."""
        return sum(operations(self._file).values())

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one image, (H, W, 3)."""
        dims = onnx.load(self._file).graph.input[0].type.tensor_type.shape.dim
        return tuple(dim.dim_value for dim in dims[1:])

    def product(self, precision: str, side: int) -> Work:
        """A product of two square matrices."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(PRECISIONS[precision]))
        of = [helper.make_tensor_value_info(name, kind, [side, side]) for name in "abc"]
        node = helper.make_node("MatMul", ["a", "b"], ["c"])
        graph = helper.make_graph([node], "product", of[:2], of[2:])
        opset = helper.make_opsetid("", 20)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        inputs = {name: random_matrix(side).astype(PRECISIONS[precision]) for name in "ab"}
        return self._work(model, inputs, ["c"])

    def graph(self, precision: str, batch: int) -> Work:
        """An inspection of so many images."""
        model = onnx.load(self._file)
        if precision == "fp16":
            to_half(model)
        images = random_images((batch, *self.image_shape))
        return self._work(model, {IMAGE: images}, OUTPUTS)

    def _work(
        self, model: onnx.ModelProto, inputs: dict[str, np.ndarray], outputs: Sequence[str]
    ) -> Work:
        if self._first != CPU:
            onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, self._providers)
        if session.get_providers()[0] != self._first:
            raise Missing(f"ONNX Runtime cannot load {self._first}: a library is not there")
        binding = session.io_binding()
        for name, array in inputs.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(array, *self._place)
            binding.bind_ortvalue_input(name, value)
        for name in outputs:
            binding.bind_output(name, *self._place)
        return lambda: session.run_with_iobinding(binding)


class Torch:
    """The gauge of a run; raises Missing where torch cannot have the GPU."""

    def __init__(self, run: Path) -> None:
        if gpu() and not torch.cuda.is_available():
            raise Missing("this torch has no CUDA")
        self._device = torch.device("cuda" if gpu() else "cpu")
        checkpoint = load(run)
        self._side = checkpoint.config.image_size
        self._gauge = checkpoint.gauge().eval().to(self._device)
        self._halved = checkpoint.gauge().eval().to(self._device)
        self._halved.backbone = InHalf(self._halved.backbone)

    @cached_property
    def operations(self) -> int:
        """Multiplications and additions of one image."""
        with FlopCounterMode(display=False) as counted:
            self.graph("fp32", 1)()
        return counted.get_total_flops()

    def product(self, precision: str, side: int) -> Work:
        """A product of two square matrices."""
        first, second = (
            torch.from_numpy(random_matrix(side).astype(PRECISIONS[precision])).to(self._device)
            for _ in range(2)
        )
        return self._work(torch.matmul, first, second)

    def graph(self, precision: str, batch: int) -> Work:
        """An inspection of so many images."""
        images = torch.from_numpy(random_images((batch, self._side, self._side, 3)))
        gauge = self._gauge if precision == "fp32" else self._halved
        return self._work(gauge, images.to(self._device))

    def _work(self, call: Callable[..., object], *inputs: Tensor) -> Work:
        @torch.inference_mode()
        def work() -> None:
            call(*inputs)
            if self._device.type == "cuda":
                torch.cuda.synchronize()

        return work


class InHalf(nn.Module):
    """A backbone that computes in fp16."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self._backbone = backbone

    def forward(self, images: Tensor) -> list[Tensor]:
        """The stages, in fp32."""
        with torch.autocast(images.device.type, torch.float16):
            return [stage.float() for stage in self._backbone(images)]


def random_matrix(side: int) -> np.ndarray:
    """Normal numbers (S, S): zeros would take less power, and so less time."""
    return np.random.default_rng(0).standard_normal((side, side), np.float32)


def random_images(shape: tuple[int, ...]) -> np.ndarray:
    """Noise, uint8 (B, H, W, 3)."""
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
