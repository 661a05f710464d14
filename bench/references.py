"""What an inspection costs with many references, and how long such a graph takes to load.

    python -m bench.references

A published graph is given its own references many times over, each time a little different, and
runs beside the others in turns, one image on one thread of ONNX Runtime, in time of the CPU.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import typer
from onnx import numpy_helper

from bench.support.apart import apart
from bench.support.figures import keep
from bench.support.servers import Running, Served
from bench.support.session import session
from onegauge.export.graph import store
from onegauge.service.model.contract import IMAGE
from onegauge.service.model.outputs import OUTPUTS
from onegauge.service.model.repository import served_version

COUNTS = (1_600, 16_000, 100_000)
TURNS = 60
LIBRARY = ("alignment.", "detector.", "novelty.", "retrieval.")  # what has a row for each reference


def main(turns: int = TURNS) -> None:
    """Measure, print, keep the figures."""
    found = measure(turns)
    for count, row in found.items():
        told = ", ".join(f"{what} {figure}" for what, figure in row.items())
        sys.stdout.write(f"{count:>7} references: {told}\n")
    keep("references", found)


def measure(turns: int = TURNS) -> dict[str, dict[str, float]]:
    """By references: milliseconds, their ratio to the fewest, seconds and memory of loading."""
    model = Served()
    known = int(served_version(model.repository / model.name).contract.parameters["references"])
    with TemporaryDirectory() as folder:
        files = {count: grow(model.file, known, count, Path(folder)) for count in COUNTS}
        loads = {count: apart(loading, file).result() for count, file in files.items()}
        times = take_turns({count: session(file) for count, file in files.items()}, turns)
    fewest = times[COUNTS[0]]
    return {
        str(count): {
            "ms": round(1000 * median(times[count]), 2),
            "of_fewest": round(float(np.median(np.divide(times[count], fewest))), 3),
            **loads[count],
        }
        for count in COUNTS
    }


def grow(model: Path, known: int, count: int, folder: Path) -> Path:
    """Write the graph with `count` references, of which it has `known`, as it is published."""
    graph = onnx.load(model)
    chance = np.random.default_rng(0)
    for tensor in graph.graph.initializer:
        if tensor.name.startswith(LIBRARY) and list(tensor.dims[:1]) == [known]:
            rows = np.resize(numpy_helper.to_array(tensor), (count, *tensor.dims[1:]))
            tensor.CopyFrom(numpy_helper.from_array(varied(rows, chance), tensor.name))
    home = folder / str(count)
    home.mkdir()
    return store(graph, home)


def varied(rows: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Rows (N, …) that are a little different; whole numbers of 64 bits say which is which."""
    if rows.dtype == np.int64:
        return np.arange(len(rows))
    if rows.dtype == np.int8:
        near = chance.integers(-1, 2, rows.shape, np.int8)
        return np.clip(rows, -126, 126) + near
    return rows * (1 + chance.normal(0, 0.01, (len(rows), *[1] * (rows.ndim - 1)))).astype(
        rows.dtype
    )


def loading(model: Path) -> dict[str, float]:
    """Seconds until the first answer, and the most memory of the process until then."""
    start = time.perf_counter()
    inspect(session(model))
    seconds = round(time.perf_counter() - start, 2)
    return {"load_s": seconds, "memory_mb": round(Running("", os.getpid()).memory_mb())}


def inspect(graph: onnxruntime.InferenceSession) -> list[np.ndarray[Any, Any]]:
    """Its answer to an image of noise."""
    sides = graph.get_inputs()[0].shape[1:]
    image = np.random.default_rng(0).integers(0, 256, (1, *sides), np.uint8)
    answer: list[np.ndarray[Any, Any]] = graph.run(OUTPUTS, {IMAGE: image})
    return answer


def take_turns(
    graphs: dict[int, onnxruntime.InferenceSession], turns: int
) -> dict[int, list[float]]:
    """Seconds of the CPU of each run of each."""
    times: dict[int, list[float]] = {count: [] for count in graphs}
    for turn in range(1 + turns):
        for count, graph in graphs.items():
            start = time.thread_time()
            inspect(graph)
            if turn:
                times[count].append(time.thread_time() - start)
    return times


if __name__ == "__main__":
    typer.run(main)
