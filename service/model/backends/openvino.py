"""OpenVINO in this process: the fastest embedded backend on many CPUs."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import local

import numpy as np
import openvino
from numpy.typing import NDArray

from onegauge.cores import cores
from onegauge.service.errors import BackendFailed, ContractError, for_clients
from onegauge.service.model.backends.embedded import Compiled, Run, Tensors
from onegauge.service.model.contract import IMAGE
from onegauge.service.model.outputs import OUTPUTS


def compile_model(model_file: Path, threads: int) -> Compiled:
    """Compile the model in full precision; raises ContractError when OpenVINO cannot."""
    # OpenVINO gives the thread that compiles another stack for signals, and takes it away with the
    # model, in whatever order models go: a thread that lives on would meet its next signal, SIGTERM
    # perhaps, on memory that is gone.
    with _errors(), ThreadPoolExecutor(1) as compiling:
        return compiling.submit(_compile, model_file, threads).result()


def _compile(model_file: Path, threads: int) -> Compiled:
    core = openvino.Core()
    graph = core.read_model(model_file)

    def run_with(threads: int, streams: int) -> Run:
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            # the default may compute in bfloat16, which moves scores across the threshold
            "INFERENCE_PRECISION_HINT": "f32",
        }
        return _run_of(core.compile_model(graph, "CPU", options))

    # beside each other there is a stream for each core, since what shares one takes turns
    return Compiled(run_with(threads, 1), run_with(cores(), cores()), batching=False)


def _run_of(model: openvino.CompiledModel) -> Run:
    own = local()  # what runs a batch can run one at a time

    def run(images: NDArray[np.uint8], names: Sequence[str] = OUTPUTS, /) -> Tensors:
        with _errors(BackendFailed):
            if not hasattr(own, "request"):
                own.request = model.create_infer_request()
            tensors = own.request.infer({IMAGE: images})
        return {name: tensors[name] for name in names}

    return run


@contextmanager
def _errors(kind: type[ContractError | BackendFailed] = ContractError) -> Iterator[None]:
    """Turn what OpenVINO raises into our own errors."""
    try:
        yield
    except RuntimeError as exc:
        done = "load the model" if kind is ContractError else "run it"
        raise kind(f"OpenVINO cannot {done}: {for_clients(exc)}") from exc
