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

from onegauge.cores import cores
from onegauge.service.errors import BackendFailed, BackendUnavailable, ContractError, for_clients
from onegauge.service.model.backends import OUTPUTS
from onegauge.service.model.backends.embedded import Compiled, Look, Run
from onegauge.service.model.contract import IMAGE, QUICK


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

    def look(*parts: tuple[openvino.Model, str], alone: tuple[openvino.Model, str]) -> Look:
        """By graphs that follow each other, each in its precision; `alone` begins instead there."""
        # beside each other there is a stream for each core, since what shares one takes turns
        return Look(
            _run_of([_compiled(core, *part, threads, 1) for part in (alone, *parts[1:])]),
            _run_of([_compiled(core, *part, cores(), cores()) for part in parts]),
        )

    # The default hint may compute in bfloat16 throughout, which moves scores across the threshold.
    exact = look((graph, "f32"), alone=(graph, "f32"))
    if not quick:
        return Compiled(exact, batching=False)
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise BackendUnavailable("This processor has no bfloat16: turn ONEGAUGE_QUICK_LOOK off.")
    networks, decision = cut(graph)
    whole = _in_bfloat16_to_its_end(networks.clone())
    seen = look((networks, "bf16"), (decision, "f32"), alone=(whole, "bf16"))
    return Compiled(exact, batching=False, quick=seen)


def _compiled(
    core: openvino.Core, graph: openvino.Model, precision: str, threads: int, streams: int
) -> openvino.CompiledModel:
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
    return core.compile_model(graph, "CPU", options | {"INFERENCE_PRECISION_HINT": precision})


def _in_bfloat16_to_its_end(graph: openvino.Model) -> openvino.Model:
    """The graph with a note for OpenVINO, which by itself ends in full precision.

    All but the least of small tensors, which is found twice as fast so. For one stream only:
    several read the note at once, which OpenVINO cannot do.
    """
    for node in graph.get_ops():
        if node.get_type_name() != "TopK":
            node.get_rt_info()["enforceBF16evenForGraphTail"] = "YES"
    return graph


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
