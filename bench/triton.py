"""The gateway in front of Triton beside Triton alone, with the bundled model.

    python -m bench.triton [RUN]

RUN is exported for Triton's Python backend, which runs the same graph by ONNX Runtime, since that
is what a Triton from PyPI brings along. Triton alone is asked by gRPC with prepared tensors, 8
calls at a time; the gateway is given a JPEG of a megapixel on 8 connections. On the same cores the
gateway has to decode, too: what that costs is told by a third line, Triton alone with decoding in
the client. A gateway that hands over images in shared memory is a fourth.

Shared memory is there for many images at once, so that both gateways are also given 8 in a request.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import tritonclient.grpc
import typer

from bench.support.figures import keep, spread
from bench.support.limit import SIZE
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form, picture
from bench.support.servers import ROOT, Running, Served, server
from onegauge.export.export_run import Flavour, export_run
from onegauge.service.imaging.image import read_image
from onegauge.service.model.contract import IMAGE
from rig.address import free_address
from rig.tritonserver import tritonserver

IN_A_REQUEST = 8


def main(
    run: Annotated[Path, typer.Argument()] = ROOT / "runs" / "demo" / "run",
    seconds: float = 8,
    rounds: int = 5,
) -> None:
    """Measure in turns, print, keep the figures."""
    if not run.exists():
        sys.exit(f"{run} is not there: make demo-model trains it")
    image = picture()
    pixels = read_image(image, SIZE, max_pixels=10**8).pixels[None]
    address = free_address()
    choice = {"ONEGAUGE_BACKEND": "triton", "ONEGAUGE_TRITON_URL": address}
    rates: dict[str, list[float]] = {}
    loops: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        tritonserver(published(run, Path(folder)), Path(folder) / "log", address),
        server("onegauge", Served(), **choice) as messages,
        server("onegauge", Served(), **choice, ONEGAUGE_TRITON_SHARED_MEMORY="true") as shared,
    ):
        for _ in range(rounds):
            for who, images in {
                "alone": lambda: pixels,
                "alone, decoding": lambda: read_image(image, SIZE, max_pixels=10**8).pixels[None],
            }.items():
                rates.setdefault(who, []).append(asked(address, images, seconds))
            for way, running in {"messages": messages, "shared memory": shared}.items():
                for count in (1, IN_A_REQUEST):
                    who = f"gateway, {way}, {count} in a request"
                    rate, loop_s = loaded(running, image, count, seconds, Path(folder) / "body")
                    rates.setdefault(who, []).append(rate)
                    loops.setdefault(who, []).append(loop_s)
    figures = {}
    for who, found in rates.items():
        ratios = [a / b for a, b in zip(found, rates["alone"], strict=True)]
        figures[who] = {"of_triton": spread(ratios), "rate": median(found)}
        told = ""
        if who in loops:
            figures[who]["event_loop_s"] = median(loops[who])
            told = f", {1000 * median(loops[who]):.2f} ms of the event loop for an image"
        sys.stdout.write(f"{median(ratios):.3f}  {median(found):6.1f} images/s  {who}{told}\n")
    keep("triton", figures)


def loaded(
    running: Running, image: bytes, count: int, seconds: float, file: Path
) -> tuple[float, float]:
    """Images a second of a gateway that is sent `count` in a request; its loop's time for each."""
    body, content_type = form(image, count)
    file.write_bytes(body)
    before = running.event_loop_s()
    found = load(f"{running.url}/inspect", file, content_type, seconds, connections=CONNECTIONS)
    if list(found["statuses"]) != ["200"]:
        sys.exit(f"The gateway failed under load: {found['statuses']}")
    images = count * found["statuses"]["200"]
    return count * found["rate"], (running.event_loop_s() - before) / images


def published(run: Path, home: Path) -> Path:
    """The run in a repository for Triton."""
    export_run(run, home / "repository", Served.name, Flavour(triton_backend="python"))
    return home / "repository"


def asked(address: str, images: Callable[[], np.ndarray], seconds: float) -> float:
    """Images a second of Triton, asked by so many threads as the gateway has connections."""
    deadline = time.monotonic() + seconds

    def ask() -> int:
        count = 0
        with tritonclient.grpc.InferenceServerClient(address) as client:
            while time.monotonic() < deadline:
                batch = images()
                tensor = tritonclient.grpc.InferInput(IMAGE, list(batch.shape), "UINT8")
                tensor.set_data_from_numpy(batch)
                client.infer(Served.name, [tensor])
                count += 1
        return count

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(f.result() for f in [pool.submit(ask) for _ in range(CONNECTIONS)]) / seconds


if __name__ == "__main__":
    typer.run(main)
