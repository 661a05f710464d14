"""TensorRT for a model on a GPU: inside Triton's ONNX Runtime backend, or as a plan of its own.

Written by its documentation and checked up to the boundary, as docs/deployment.md says: nothing
here has run on a GPU.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelOptimizationPolicy

from onegauge.export.errors import ExportError
from onegauge.service.model.contract import IMAGE

ENGINES = "/engines"  # in the server's container; outlives it, where docker-compose.yml mounts it
WORKSPACE_BYTES = 2**32
INSTALLED = "/usr/src/tensorrt/bin"  # of NVIDIA's containers
LAST_LINES = 5

_Accelerator = ModelOptimizationPolicy.ExecutionAccelerators.Accelerator


def accelerate(config: ModelConfig, model_digest: str) -> None:
    """Have Triton's ONNX Runtime backend run the model by TensorRT on one GPU, in place.

    Profiles name every batch, so that no request finds an engine to be built. Engines are kept by
    the model's digest; ONNX Runtime adds GPU and TensorRT to their names.
    """
    folder = f"{ENGINES}/{model_digest[:16]}"
    parameters = {
        "max_workspace_size_bytes": str(WORKSPACE_BYTES),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
        "trt_layer_norm_fp32_fallback": "1",
        **{
            f"trt_profile_{name}_shapes": f"{IMAGE}:{shape}"
            for name, shape in _profile(config).items()
        },
    }
    config.optimization.execution_accelerators.gpu_execution_accelerator.append(
        _Accelerator(name="tensorrt", parameters=parameters)
    )
    # several engines of one model, built at once on one GPU, have crashed servers
    del config.instance_group[:]
    config.instance_group.add(kind="KIND_GPU", count=1)


def build_plan(model: Path, plan: Path, config: ModelConfig) -> None:
    """Build a TensorRT engine for the GPU of this machine; raises ExportError where it cannot."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), INSTALLED])
    program = shutil.which("trtexec", path=path)
    if program is None:
        raise ExportError(
            "trtexec is not installed here: a plan is built in NVIDIA's TensorRT container, on "
            "the kind of GPU that it will run on (docs/deployment.md)"
        )
    shapes = (f"--{name}Shapes={IMAGE}:{shape}" for name, shape in _profile(config).items())
    # fp32 as the model is calibrated in it: by default TensorRT rounds it to 10 bits
    options = ["--stronglyTyped", "--noTF32", *shapes, "--skipInference"]
    done = subprocess.run(
        [program, f"--onnx={model}", f"--saveEngine={plan}", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not plan.is_file():
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
        raise ExportError(f"trtexec could not build the engine:\n{last}")


def _profile(config: ModelConfig) -> dict[str, str]:
    """Shapes of the smallest, the usual and the largest batch."""
    largest = config.max_batch_size
    sides = "x".join(str(side) for side in config.input[0].dims)
    sizes = {"min": 1, "opt": max(1, largest // 2), "max": largest}
    return {name: f"{size}x{sides}" for name, size in sizes.items()}
