"""What a GPU makes of a gauge, in one command of less than ten minutes.

    python -m bench.gpu [--run RUN]

ONNX Runtime   images a second of a published fp32 graph by batch, in fp32 and with its networks in
               fp16, and what they take of the rate at which the device multiplies large matrices
torch          the same of a run
TensorRT       the same by ONNX Runtime's TensorRT; seconds until its first answer, with engines to
               be built and with engines that are there
gateway        images a second of a gateway that has the GPU
Triton         of one in front of a real Triton, beside that Triton alone

Each part has a process of its own, and says so where what it needs is absent. Without a GPU all of
it runs on the CPU, which tells no more than that it runs.

A machine without network gets its wheels from one that has one, the same Python and processor:

    pip wheel --wheel-dir wheels '.[gpu,train]' tensorrt
    pip wheel --wheel-dir wheels --no-deps nvidia-pytriton==0.7.0

There, with PIP_NO_INDEX=1 and PIP_FIND_LINKS=wheels in the environment:

    pip install 'onegauge[gpu,train]' tensorrt

and this command installs Triton into a folder of its own. TensorRT has to be of the release that
onnxruntime-gpu was built for. No onnxruntime may be installed beside onnxruntime-gpu.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import onnxruntime
import typer

from bench.support.apart import apart
from bench.support.devices import (
    CPU,
    CUDA,
    PRECISIONS,
    TENSORRT,
    OnnxRuntime,
    Runtime,
    Torch,
    Work,
    gpu,
)
from bench.support.figures import keep
from bench.support.load import load
from bench.support.pictures import picture
from bench.support.servers import Running, Served, server
from bench.triton import asked, for_python_backend
from onegauge.service.imaging.image import read_image
from onegauge.service.model.contract import IMAGE
from onegauge.service.model.repository import served_version
from rig import Missing
from rig.address import free_address
from rig.tritonserver import tritonserver

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIDE = 8192  # of the matrices
CONNECTIONS = (8, 64)
WARM_UP = 3


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long each."""

    model: Served
    run: Path | None
    seconds: float
    batches: tuple[int, ...]
    side: int


def main(
    run: Annotated[Path | None, typer.Option(help="What torch computes.")] = None,
    repository: Path = Served.repository,
    name: str = Served.name,
    seconds: float = 3,
    batch: Annotated[list[int] | None, typer.Option()] = None,
    side: int = SIDE,
) -> None:
    """Measure, print and keep, part by part."""
    plan = Plan(Served(repository, name), run, seconds, tuple(batch or BATCHES), side)
    figures: dict[str, Any] = {"device": gpu() or "CPU"}
    sys.stdout.write(f"{figures['device']}\n")
    for part, measure in PARTS.items():
        figures[part] = found = outcome(measure, plan)
        lines = (f"{part:13} {what:24} {figure}\n" for what, figure in found.items())
        sys.stdout.writelines(lines)
        sys.stdout.flush()
        keep(f"gpu with {name}", figures)


def outcome(measure: Callable[[Plan], dict[str, Any]], plan: Plan) -> dict[str, Any]:
    """What a part finds in a process of its own, or why it does not: the others go on."""
    done = apart(measure, plan)
    failure = done.exception()
    if failure:
        return {"absent" if isinstance(failure, Missing) else "failed": str(failure)}
    return done.result()


def by_onnx(plan: Plan) -> dict[str, Any]:
    """Rates of ONNX Runtime."""
    runtime = OnnxRuntime(plan.model.file, CUDA if gpu() else CPU)
    found: dict[str, Any] = {}
    for precision in PRECISIONS:
        found |= rates(runtime, runtime, precision, plan)
    return found


def by_torch(plan: Plan) -> dict[str, Any]:
    """Rates of torch."""
    if plan.run is None:
        raise Missing("--run names no run: make demo-model trains runs/demo/run")
    runtime, found = Torch(plan.run), {}
    for precision in PRECISIONS:
        found |= rates(runtime, runtime, precision, plan)
    return found


def by_tensorrt(plan: Plan) -> dict[str, Any]:
    """Rates of TensorRT in ONNX Runtime, and seconds until its first answer."""
    if TENSORRT not in onnxruntime.get_available_providers():
        raise Missing("this ONNX Runtime has no TensorRT")
    with suppress(ImportError):
        import tensorrt  # noqa: F401  (libraries that are loaded need not be found)
    multiplying, found = OnnxRuntime(plan.model.file, CUDA), {}
    for precision in PRECISIONS:
        with TemporaryDirectory() as engines:
            runtime = OnnxRuntime(
                plan.model.file, TENSORRT, engine_options(plan, engines, precision)
            )
            for engine in ("built", "kept"):
                start = time.perf_counter()
                runtime.graph(precision, 1)()
                took = round(time.perf_counter() - start, 1)
                found[f"{precision}, engine {engine}"] = {"first_answer_s": took}
            found |= rates(runtime, multiplying, precision, plan)
    return found


def engine_options(plan: Plan, engines: str, precision: str) -> dict[str, Any]:
    """Of TensorRT: one engine for all batches, which is kept."""
    most = max(plan.batches)
    sides = "x".join(map(str, OnnxRuntime(plan.model.file, CUDA).image_shape))
    sizes = {"min": 1, "opt": max(1, most // 2), "max": most}
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": engines,
        "trt_fp16_enable": precision == "fp16",
        "trt_layer_norm_fp32_fallback": True,
        **{f"trt_profile_{n}_shapes": f"{IMAGE}:{size}x{sides}" for n, size in sizes.items()},
    }


def rates(
    runtime: Runtime, multiplying: Runtime, precision: str, plan: Plan
) -> dict[str, dict[str, float]]:
    """How fast `multiplying` multiplies, and images a second by batch, of which that is a share."""
    most = 2 * plan.side**3 * rate(multiplying.product(precision, plan.side), plan.seconds)
    found = {f"{precision}, products": {"tflops": shown(most / 1e12)}}
    for batch in plan.batches:
        images = batch * rate(runtime.graph(precision, batch), plan.seconds)
        found[f"{precision}, batch of {batch}"] = {
            "images_per_s": shown(images),
            "of_products": shown(images * runtime.operations / most),
        }
    return found


def shown(figure: float) -> float:
    """With so many digits as are worth it."""
    return float(f"{figure:.4g}")


def rate(work: Work, seconds: float) -> float:
    """How often it is done in a second."""
    for _ in range(WARM_UP):
        work()
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() - start < seconds:
        work()
        count += 1
    return count / (time.perf_counter() - start)


def alone(plan: Plan) -> dict[str, Any]:
    """Images a second of a gateway whose own process has the graph."""
    with server("onegauge", plan.model) as gateway:
        return {f"{n} connections": loaded(gateway, n, plan.seconds) for n in CONNECTIONS}


def before_triton(plan: Plan) -> dict[str, Any]:
    """Images a second of a gateway before a Triton, and of that Triton, which gets tensors."""
    stored = served_version(plan.model.repository / plan.model.name)
    address = free_address()
    choice = {"ONEGAUGE_BACKEND": "triton", "ONEGAUGE_TRITON_URL": address}
    sides = (stored.contract.height, stored.contract.width)
    pixels = read_image(picture(), sides, max_pixels=10**8).pixels[None]
    with TemporaryDirectory() as folder:
        repository = for_python_backend(plan.model, Path(folder))
        with (
            tritonserver(repository, Path(folder) / "log", address),
            server("onegauge", plan.model, **choice) as gateway,
        ):
            found = {f"{n} connections": loaded(gateway, n, plan.seconds) for n in CONNECTIONS}
            images = asked(address, lambda: pixels, plan.seconds, plan.model.name)
            return found | {"Triton alone": {"images_per_s": round(images, 1)}}


def loaded(gateway: Running, connections: int, seconds: float) -> dict[str, float]:
    """Images a second and latencies of a gateway under JPEGs of a megapixel."""
    with TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(picture())
        url = f"{gateway.url}/inspect"
        found = load(url, body, "image/jpeg", seconds, connections=connections)
    if list(found["statuses"]) != ["200"]:
        raise RuntimeError(f"the gateway failed under load: {found['statuses']}")
    times = {f"{name}_ms": round(1000 * found[name], 1) for name in ("p50", "p99")}
    return {"images_per_s": round(found["rate"], 1), **times}


PARTS = {
    "ONNX Runtime": by_onnx,
    "torch": by_torch,
    "TensorRT": by_tensorrt,
    "gateway": alone,
    "Triton": before_triton,
}


if __name__ == "__main__":
    typer.run(main)
