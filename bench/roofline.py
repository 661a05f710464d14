"""What a core does of what it can: the products of a graph beside the fastest products there are.

    python -m bench.roofline [--repository REPOSITORY --name NAME]

A core's best are a large matrix product in fp32, in bf16 and in int8, and a sum over more than its
caches hold. Beside them each convolution and product of the graph, by how long ONNX Runtime takes
for it on one thread: its operations a second against those for a byte that it reads or writes
(Williams, Waterman & Patterson, Roofline, CACM 2009). Draws docs/images/roofline.png.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch
import typer
from matplotlib.figure import Figure
from onnx import TensorProto
from onnx.helper import (
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor_value_info,
)

from bench.support.figures import keep
from bench.support.servers import ROOT, Served
from bench.support.session import session

RUNS, TRIES = 100, 20
SIDE = 1024  # of the large products
BYTES = 2**28  # far more than the caches hold
PRODUCTS = ("Conv", "FusedMatMul", "MatMul")
TARGET = ROOT / "docs" / "images" / "roofline.png"
COLOURS = {"fp32": "#0072b2", "bf16": "#009e73", "int8": "#d55e00"}


@dataclass(frozen=True)
class Layer:
    """A product of the graph: operations, bytes that it reads and writes, seconds of a run."""

    operations: int
    bytes: int
    seconds: float

    @classmethod
    def of(cls, seen: dict[str, Any], seconds: float) -> Layer:
        """From what ONNX Runtime tells of it; of a product's constants it tells no shape."""
        read = [shape for told in seen["input_type_shape"] for shape in told.values()]
        (written,) = (shape for told in seen["output_type_shape"] for shape in told.values())
        summed = prod(read[1][1:]) if seen["op_name"] == "Conv" else read[0][-1]
        if len(read) == 1:
            read.append([summed, written[-1]])
        values = sum(map(prod, read)) + prod(written)
        return cls(2 * prod(written) * summed, 4 * values, seconds)


def main(repository: Path = Served.repository, name: str = Served.name) -> None:
    """Measure, print, draw, keep the figures."""
    torch.set_num_threads(1)
    roofs, bandwidth = {kind: roof(kind) for kind in COLOURS}, memory()
    layers, whole = measured(Served(repository, name).file)
    operations = sum(layer.operations for layer in layers)
    seconds = sum(layer.seconds for layer in layers)
    found = {
        "operations_per_second": roofs,
        "bytes_per_second": bandwidth,
        "products": {
            "operations": operations,
            "of_the_time": round(seconds / whole, 3),
            "of_fp32": round(operations / seconds / roofs["fp32"], 3),
        },
    }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    draw(roofs, bandwidth, layers, TARGET)
    keep(f"roofline of {name}", found)


def roof(kind: str) -> float:
    """Operations a second of a large matrix product on one core, the best of some.

    By ONNX Runtime in fp32, where torch reaches half as much on processors of AMD, else by torch.
    """
    one, other = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    if kind == "fp32":
        session, values = product(), {"one": one.numpy(), "other": other.numpy()}
        return 2 * SIDE**3 / best(lambda: session.run(None, values))
    if kind == "bf16":
        left, right = one.bfloat16(), other.bfloat16()
        return 2 * SIDE**3 / best(lambda: left @ right)
    low, high = ((10 * part).clamp(-127, 127).to(torch.int8) for part in (one, other))
    return 2 * SIDE**3 / best(lambda: torch._int_mm(low, high))


def product() -> onnxruntime.InferenceSession:
    """A product of two matrices."""
    names = ("one", "other", "product")
    *factors, result = (make_tensor_value_info(n, TensorProto.FLOAT, [SIDE] * 2) for n in names)
    node = make_node("MatMul", names[:2], names[2:])
    model = make_model(
        make_graph([node], "product", factors, [result]),
        ir_version=9,
        opset_imports=[make_opsetid("", 18)],
    )
    return session(model.SerializeToString())


def memory() -> float:
    """Bytes a second that a core reads from memory."""
    return BYTES / best(np.ones(BYTES // 8).sum)


def best(work: Callable[[], object]) -> float:
    """The least seconds of some runs."""
    seconds = []
    for _ in range(TRIES):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measured(model: Path) -> tuple[list[Layer], float]:
    """The products of a graph by their medians, and the seconds of all its nodes."""
    with TemporaryDirectory() as folder:
        graph = session(model, f"{folder}/profile")
        (taken,) = graph.get_inputs()
        image = np.random.default_rng(0).integers(0, 256, (1, *taken.shape[1:]), np.uint8)
        for _ in range(RUNS):
            graph.run(None, {taken.name: image})
        events = json.loads(Path(graph.end_profiling()).read_text())
    seconds, seen = defaultdict(list), {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            seconds[event["name"]].append(event["dur"] / 1e6)
            seen[event["name"]] = event["args"]
    medians = {name: median(found) for name, found in seconds.items()}
    products = [name for name, told in seen.items() if told["op_name"] in PRODUCTS]
    return [Layer.of(seen[name], medians[name]) for name in products], sum(medians.values())


def draw(roofs: dict[str, float], bandwidth: float, layers: list[Layer], target: Path) -> None:
    """Roofs as lines, layers as circles whose areas are their times."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    intensity = np.geomspace(0.5, 200, 200)  # operations for a byte
    for kind, most in roofs.items():
        height = np.minimum(most, intensity * bandwidth)
        axes.plot(intensity, height / 1e9, color=COLOURS[kind], label=f"{kind}, measured")
    whole = sum(layer.seconds for layer in layers)
    axes.scatter(
        [layer.operations / layer.bytes for layer in layers],
        [layer.operations / layer.seconds / 1e9 for layer in layers],
        s=[6 + 2500 * layer.seconds / whole for layer in layers],
        color="#e69f00",
        alpha=0.6,
        edgecolor="black",
        linewidth=0.5,
        label="products of the graph, area is time",
    )
    axes.set(xscale="log", yscale="log", xlim=(0.5, 200))
    axes.set(xlabel="operations for a byte", ylabel="billions of operations a second")
    axes.legend(loc="lower right", markerscale=0.5, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    typer.run(main)
