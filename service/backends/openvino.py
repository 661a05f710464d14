"""OpenVINO in this process: the fastest embedded backend on many CPUs."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import local

import numpy as np
import openvino
from numpy.typing import NDArray

from service.backends import OUTPUTS
from service.backends.embedded import Compiled, Run
from service.contract import IMAGE
from service.errors import BackendFailed, ContractError, for_clients


def compile_model(model_file: Path, threads: int) -> Compiled:
    """Compile the model in full precision; raises ContractError when OpenVINO cannot."""
    alone = _compile(model_file, threads)
    return Compiled(alone, alone if threads == 1 else _compile(model_file, 1), batching=False)


def _compile(model_file: Path, threads: int) -> Run:
    # The default hint may compute in bfloat16, which moves scores across the threshold.
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    try:
        # OpenVINO gives the thread that compiles another stack for signals, and takes it away with
        # the model, in whatever order models go: a thread that lives on would meet its next signal,
        # SIGTERM perhaps, on memory that is gone.
        with ThreadPoolExecutor(1) as compiling:
            compile_it = partial(openvino.Core().compile_model, model_file, "CPU", options)
            model = compiling.submit(compile_it).result()
    except RuntimeError as exc:
        raise ContractError(f"OpenVINO cannot load the model: {for_clients(exc)}") from exc

    own = local()  # what runs a batch can run one at a time

    def run(images: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        try:
            if not hasattr(own, "request"):
                own.request = model.create_infer_request()
            tensors = own.request.infer({IMAGE: images})
        except RuntimeError as exc:
            raise BackendFailed(f"OpenVINO failed: {for_clients(exc)}") from exc
        return {name: tensors[name] for name in OUTPUTS}

    return run
