"""ONNX Runtime in this process, on the GPU where onnxruntime-gpu finds one, else on the CPU."""

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from onegauge.service.errors import BackendFailed, ContractError, for_clients
from onegauge.service.model.backends.embedded import Compiled, Run, Tensors
from onegauge.service.model.contract import IMAGE
from onegauge.service.model.outputs import OUTPUTS

_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_LOG_ERRORS_ONLY = 3
_log = logging.getLogger("onegauge.onnx")
_ERRORS = (  # onnxruntime gives its exceptions no base class of their own
    state.EPFail,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
)


def compile_model(model_file: Path, threads: int) -> Compiled:
    """Load the model; raises ContractError when ONNX Runtime cannot.

    ONNX Runtime goes over to the CPU without a word where it cannot use the GPU: the log says so.
    """
    wants_gpu = _GPU in onnxruntime.get_available_providers()
    if wants_gpu:
        onnxruntime.preload_dlls()  # CUDA's of the wheels, which the system does not look for
    session = _load(model_file, threads, [_GPU, _CPU] if wants_gpu else [_CPU])
    on_gpu = _GPU in session.get_providers()
    if wants_gpu and not on_gpu:
        _log.warning("onnxruntime-gpu finds no GPU, or CUDA is not whole: the CPU computes.")
    first = None if on_gpu else _giving_back()
    alone = _run_of(session, first)
    beside = alone if on_gpu or threads == 1 else _run_of(_load(model_file, 1, [_CPU]), first)
    return Compiled(alone, beside, batching=on_gpu)


def _load(model_file: Path, threads: int, providers: list[str]) -> onnxruntime.InferenceSession:
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take the cores from decoding, and from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = _LOG_ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(model_file, options, providers)
    except _ERRORS as exc:
        raise ContractError(f"ONNX Runtime cannot load the model: {for_clients(exc)}") from exc


def _run_of(session: onnxruntime.InferenceSession, first: onnxruntime.RunOptions | None) -> Run:
    options = iter([first])

    def run(images: NDArray[np.uint8], names: Sequence[str] = OUTPUTS, /) -> Tensors:
        try:
            outputs = session.run(names, {IMAGE: images}, next(options, None))
            return dict(zip(names, outputs, strict=True))
        except _ERRORS as exc:
            raise BackendFailed(f"ONNX Runtime failed: {for_clients(exc)}") from exc

    return run


def _giving_back() -> onnxruntime.RunOptions:
    """Options of a first run, which has no plan of its memory: what it takes is of no use later."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


@cache
def _share_memory() -> None:
    """Have all sessions of the process take their tensors from one arena."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, None)
