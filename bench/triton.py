"""The gateway in front of Triton beside Triton alone, with the bundled model.

    python -m bench.triton

It is published for Triton's Python backend, which runs the same graph by ONNX Runtime, since that
is what a Triton from PyPI brings along. Triton alone is asked by gRPC with prepared tensors, 8
calls at once; the gateway is given a JPEG of a megapixel on 8 connections. It has to decode, too:
what it takes of the CPU stands beside a client that decodes and then asks Triton, with what Triton
takes in both. A gateway that hands over images in shared memory is a fourth.

Shared memory is there for many images at once, so that both gateways are also given 8 in a request.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tritonclient.grpc
import typer

from bench.support.figures import keep, spread
from bench.support.limit import SIZE
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form, picture
from bench.support.servers import Running, Served, server
from onegauge.service.imaging.image import read_image
from onegauge.service.model.contract import IMAGE
from onegauge.service.model.repository import CONFIG, read_config, served_version
from rig.address import free_address
from rig.publishing import add_and_publish
from rig.tritonserver import tritonserver

IN_A_REQUEST = 8
SECONDS, ROUNDS = 2, 3
ALONE, CLIENT = "alone", "alone, decoding"
Turn = Callable[[float], dict[str, float]]  # of so many seconds: `rate`, `cpu_s`, …


def main(seconds: float = SECONDS, rounds: int = ROUNDS) -> None:
    """Measure, print, keep the figures."""
    figures = measure(seconds, rounds)
    sys.stdout.write("of Triton  images/s   CPU ms  of a client's  loop ms\n")
    for who, row in figures.items():
        told = f"{row['of_triton']['median']:9.3f} {row['rate']:9.1f} {1000 * row['cpu_s']:8.2f}"
        loop = f"{1000 * row['event_loop_s']:8.2f}" if "event_loop_s" in row else " " * 8
        sys.stdout.write(f"{told} {row['cpu_of_client']['median']:14.3f} {loop}  {who}\n")
    keep("triton", figures)


def measure(seconds: float = SECONDS, rounds: int = ROUNDS) -> dict[str, dict[str, Any]]:
    """By who asks Triton: images a second, time of the CPU of both for one, and their ratios."""
    with tempfile.TemporaryDirectory() as folder, asking(Path(folder)) as turns:
        found: dict[str, list[dict[str, float]]] = {who: [] for who in turns}
        for _ in range(rounds):
            for who, turn in turns.items():
                found[who].append(turn(seconds))
    figures = {}
    for who, of_rounds in found.items():
        row = {"of_triton": spread(ratios(of_rounds, found[ALONE], "rate"))}
        row["cpu_of_client"] = spread(ratios(of_rounds, found[CLIENT], "cpu_s"))
        medians = {name: median(one[name] for one in of_rounds) for name in of_rounds[0]}
        figures[who] = row | medians
    return figures


def ratios(found: list[dict[str, float]], beside: list[dict[str, float]], what: str) -> list[float]:
    """Round by round."""
    return [one[what] / of[what] for one, of in zip(found, beside, strict=True)]


@contextmanager
def asking(folder: Path) -> Iterator[dict[str, Turn]]:
    """A Triton with all who ask it, by name."""
    image, address = picture(), free_address()
    choice = {"ONEGAUGE_BACKEND": "triton", "ONEGAUGE_TRITON_URL": address}

    def decoded() -> np.ndarray:
        return read_image(image, SIZE, max_pixels=10**8).pixels[None]

    prepared = decoded()
    with (
        tritonserver(for_python_backend(Served(), folder), folder / "log", address) as triton,
        server("onegauge", Served(), **choice) as messages,
        server("onegauge", Served(), **choice, ONEGAUGE_TRITON_SHARED_MEMORY="true") as shared,
    ):

        def of_client(images: Callable[[], np.ndarray]) -> Turn:
            def turn(seconds: float) -> dict[str, float]:
                before = time.process_time() + family_cpu_s(triton.pid)
                rate = asked(address, images, seconds)
                spent = time.process_time() + family_cpu_s(triton.pid) - before
                return {"rate": rate, "cpu_s": spent / (rate * seconds)}

            return turn

        def of_gateway(gateway: Running, count: int) -> Turn:
            def turn(seconds: float) -> dict[str, float]:
                before = family_cpu_s(triton.pid)
                found = loaded(gateway, image, count, seconds, folder / "body")
                images = found.pop("images")
                return found | {
                    "cpu_s": found["cpu_s"] + (family_cpu_s(triton.pid) - before) / images
                }

            return turn

        yield {
            ALONE: of_client(lambda: prepared),
            CLIENT: of_client(decoded),
            **{
                f"gateway, {way}, {count} in a request": of_gateway(gateway, count)
                for way, gateway in {"messages": messages, "shared memory": shared}.items()
                for count in (1, IN_A_REQUEST)
            },
        }


def loaded(
    gateway: Running, image: bytes, count: int, seconds: float, file: Path
) -> dict[str, float]:
    """What a gateway does that is sent `count` images in a request, and what each takes of it."""
    body, content_type = form(image, count)
    file.write_bytes(body)
    loop, cpu = gateway.event_loop_s(), gateway.cpu_s()
    found = load(f"{gateway.url}/inspect", file, content_type, seconds, connections=CONNECTIONS)
    if list(found["statuses"]) != ["200"]:
        sys.exit(f"The gateway failed under load: {found['statuses']}")
    images = count * found["statuses"]["200"]
    return {
        "images": images,
        "rate": count * found["rate"],
        "cpu_s": (gateway.cpu_s() - cpu) / images,
        "event_loop_s": (gateway.event_loop_s() - loop) / images,
    }


def family_cpu_s(pid: int) -> float:
    """Seconds of the CPU of a process and of those that it has started: Triton's backends are."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return Running("", pid).cpu_s() + sum(map(family_cpu_s, children))


def for_python_backend(model: Served, folder: Path) -> Path:
    """A repository with the version that is served, for a Triton that has no other backend."""
    stored = served_version(model.repository / model.name)
    config = read_config(stored.folder, CONFIG)
    config.backend = "python"
    repository = folder / "repository"
    add_and_publish(repository, config, stored.model_file(), stored.verification())
    return repository


def asked(
    address: str, images: Callable[[], np.ndarray], seconds: float, name: str = Served.name
) -> float:
    """Images a second of Triton, asked by so many threads as the gateway has connections."""
    deadline = time.monotonic() + seconds

    def ask() -> int:
        count = 0
        with tritonclient.grpc.InferenceServerClient(address) as client:
            while time.monotonic() < deadline:
                batch = images()
                tensor = tritonclient.grpc.InferInput(IMAGE, list(batch.shape), "UINT8")
                tensor.set_data_from_numpy(batch)
                client.infer(name, [tensor])
                count += 1
        return count

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(f.result() for f in [pool.submit(ask) for _ in range(CONNECTIONS)]) / seconds


if __name__ == "__main__":
    typer.run(main)
