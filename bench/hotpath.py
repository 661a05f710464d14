"""What the gateway takes of one core for an image, beside the bare loop on the same core in turns.

    python -m bench.hotpath

loop    decode, resize and a session, without HTTP
body    the gateway with an image of a megapixel as the body of a request
form    the same in a form

Gateway and loop have a core, the load has another: 8 connections that ask again as soon as they are
answered. So what the machine does besides hardly counts, least of all for the time of the CPU. Of a
gateway that is all its threads take, kernel included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import typer

from bench.support.figures import keep, spread
from bench.support.limit import limit
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form, picture
from bench.support.pinned import pinned, two_cores
from bench.support.servers import Running, Served, server

SECONDS, ROUNDS = 4, 3


def main(seconds: float = SECONDS, rounds: int = ROUNDS) -> None:
    """Measure, print a table, keep the figures."""
    figures = measure(seconds, rounds)
    sys.stdout.write("          of the loop's CPU      of its rate            CPU ms  images/s\n")
    for name, row in figures.items():
        ratios = (row[k] for k in ("cpu_of_loop", "rate_of_loop"))
        shown = "".join("{median:6.3f} ({lowest:.3f} to {highest:.3f})".format(**r) for r in ratios)
        sys.stdout.write(f"{name:5}{shown}{row['cpu_ms']:10.3f}{row['rate']:10.1f}\n")
    keep("hotpath", figures)


def measure(seconds: float = SECONDS, rounds: int = ROUNDS) -> dict[str, dict[str, Any]]:
    """Of `loop`, `body` and `form`: `cpu_ms` and `rate` of images, and both of the loop's."""
    serves, asks = two_cores()
    image = picture()
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in ("loop", "body", "form")}
    with pinned(serves), server("onegauge", Served()) as gateway, loads(gateway, image) as ask:
        for _ in range(rounds):
            measured["loop"].append(limit(Served().file, image, seconds))
            with pinned(asks):
                for name in ("body", "form"):
                    measured[name].append(ask[name](seconds))
    return {name: _beside(found, measured["loop"]) for name, found in measured.items()}


@contextmanager
def loads(
    gateway: Running, image: bytes
) -> Iterator[dict[str, Callable[[float], dict[str, float]]]]:
    """Loads of some seconds with an image as `body` and as `form`: what they take of a gateway."""
    with TemporaryDirectory() as folder:

        def under(file: Path, content_type: str, seconds: float) -> dict[str, float]:
            before = gateway.cpu_s()
            url = f"{gateway.url}/inspect"
            found = load(url, file, content_type, seconds, connections=CONNECTIONS)
            if list(found["statuses"]) != ["200"]:
                sys.exit(f"the gateway failed under load: {found['statuses']}")
            spent = gateway.cpu_s() - before
            return {"rate": found["rate"], "cpu_s": spent / found["statuses"]["200"]}

        asked = {}
        for name, (data, kind) in {"body": (image, "image/jpeg"), "form": form(image)}.items():
            file = Path(folder) / name
            file.write_bytes(data)
            asked[name] = partial(under, file, kind)
        yield asked


def _beside(found: list[dict[str, float]], loop: list[dict[str, float]]) -> dict[str, Any]:
    """Medians over the rounds, and the ratios to the loop of the same round."""
    pairs = list(zip(found, loop, strict=True))
    return {
        "cpu_of_loop": spread([one["cpu_s"] / of["cpu_s"] for one, of in pairs]),
        "rate_of_loop": spread([one["rate"] / of["rate"] for one, of in pairs]),
        "cpu_ms": 1000 * median(one["cpu_s"] for one in found),
        "rate": median(one["rate"] for one in found),
    }


if __name__ == "__main__":
    typer.run(main)
