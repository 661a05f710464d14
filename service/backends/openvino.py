"""OpenVINO in this process: the fastest embedded backend on many CPUs."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import local

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13

from service.backends import OUTPUTS
from service.backends.embedded import Compiled, Look, Run
from service.contract import IMAGE, QUICK
from service.errors import BackendFailed, BackendUnavailable, ContractError, for_clients
from service.settings import cores


def compile_model(model_file: Path, threads: int, *, quick: bool = False) -> Compiled:
    """Compile the model in full precision, and its quick part in bfloat16, too, if `quick`.

    Raises ContractError when OpenVINO cannot, or the model has no quick part, and
    BackendUnavailable when the processor has no bfloat16.
    """
    # OpenVINO gives the thread that compiles another stack for signals, and takes it away with the
    # model, in whatever order models go: a thread that lives on would meet its next signal, SIGTERM
    # perhaps, on memory that is gone.
    with _errors(), ThreadPoolExecutor(1) as compiling:
        return compiling.submit(_compile, model_file, threads, quick=quick).result()


def _compile(model_file: Path, threads: int, *, quick: bool) -> Compiled:
    core = openvino.Core()
    graph = core.read_model(model_file)
    # The default hint may compute in bfloat16 throughout, which moves scores across the threshold.
    exact = _look(core, {"f32": graph}, threads)
    if not quick:
        return Compiled(exact, batching=False)
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise BackendUnavailable("This processor has no bfloat16: turn ONEGAUGE_QUICK_LOOK off.")
    networks, decision = cut(graph)
    seen = _look(core, {"bf16": networks, "f32": decision}, threads)
    return Compiled(exact, batching=False, quick=seen)


def _look(core: openvino.Core, graphs: Mapping[str, openvino.Model], threads: int) -> Look:
    """Graphs that follow each other, each in its precision."""

    def on(threads: int, streams: int) -> Run:
        options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
        return _run_of(
            [
                core.compile_model(graph, "CPU", options | {"INFERENCE_PRECISION_HINT": precision})
                for precision, graph in graphs.items()
            ]
        )

    # beside each other there is a stream for each core, since what shares one takes turns
    return Look(on(threads, 1), on(cores(), cores()))


def _run_of(models: list[openvino.CompiledModel]) -> Run:
    own = local()  # what runs a batch can run one at a time

    def run(images: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        with _errors(BackendFailed):
            if not hasattr(own, "requests"):
                own.requests = [model.create_infer_request() for model in models]
            tensors = own.requests[0].infer({IMAGE: images}, share_outputs=len(models) > 1)
            for before, after in pairwise(own.requests):
                for number, tensor in enumerate(before.output_tensors):
                    after.set_input_tensor(number, tensor)
                tensors = after.infer()
        return {name: tensors[name] for name in OUTPUTS}

    return run


def cut(graph: openvino.Model) -> tuple[openvino.Model, openvino.Model]:
    """What may be computed quickly, and what decides by that; raises ContractError."""
    first, second = graph.clone(), graph.clone()
    if not _ends(first):
        raise ContractError("The model does not say what may be computed quickly: export it anew.")
    parameters = []
    for end in _ends(second):
        parameter = opset13.parameter(end.get_partial_shape(), end.get_element_type())
        for target in list(end.get_target_inputs()):
            target.replace_source_output(parameter.output(0))
        parameters.append(parameter)
    results = [opset13.result(end) for end in _ends(first)]
    for node in first.get_ops():
        # Left to itself OpenVINO computes whatever follows the last network in full precision;
        # of small tensors the least is found twice as fast so.
        if node.get_type_name() != "TopK":
            node.get_rt_info()["enforceBF16evenForGraphTail"] = "YES"
    return (
        openvino.Model(results, first.get_parameters()),
        openvino.Model(second.get_results(), parameters),
    )


def _ends(graph: openvino.Model) -> list[openvino.Output]:
    """The tensors at the end of the quick part, in the order of their names."""
    named = {
        name: output
        for node in graph.get_ordered_ops()
        for output in node.outputs()
        for name in output.get_names()
        if name.startswith(QUICK)
    }
    return [named[name] for name in sorted(named)]


@contextmanager
def _errors(kind: type[ContractError | BackendFailed] = ContractError) -> Iterator[None]:
    """Turn what OpenVINO raises into our own errors."""
    try:
        yield
    except RuntimeError as exc:
        done = "load the model" if kind is ContractError else "run it"
        raise kind(f"OpenVINO cannot {done}: {for_clients(exc)}") from exc
