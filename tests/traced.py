"""Graphs of other runs made of one that was traced, for tracing takes a while."""

from collections.abc import Callable
from pathlib import Path

import onnx

from onegauge.export.graph import replace_constants
from onegauge.training.gauge.gauge import Gauge

Trace = Callable[[Gauge, int, Path], None]


def with_constants_of_gauges(traced: Path) -> Trace:
    """What writes the graph `traced` with the constants of a gauge, instead of tracing the gauge.

    It is right for gauges that differ in no more, as an export verifies.
    """

    def write(gauge: Gauge, _size: int, path: Path) -> None:
        model = onnx.load(traced)
        names = {tensor.name for tensor in model.graph.initializer}
        buffers = {n: value.numpy() for n, value in gauge.named_buffers() if n in names}
        replace_constants(model, buffers)
        onnx.save(model, path)

    return write
