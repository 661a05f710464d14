"""What the gateway adds to a request that is alone: its time less that of decoding and the session.

    python -m bench.latency

A JPEG of a megapixel, `map=none`, one request after the other on one connection. What a request
took to decode and to infer is told by its own answer, so that each is compared with itself; the
rest is HTTP, the form, checks, ways between threads, regions, metrics, the answer, and the client.
"""

from __future__ import annotations

import json
import sys
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import numpy as np
import typer

from bench.figures import keep
from bench.pictures import form, picture
from bench.servers import Served, server

WARM_UP = 50


def main(requests: int = 1000) -> None:
    """Measure, print, keep the figures."""
    body, content_type = form(picture())
    total, added = [], []
    with server("onegauge", Served()) as running:
        connection = HTTPConnection(urlsplit(running.url).netloc)
        for number in range(WARM_UP + requests):
            start = time.perf_counter()
            connection.request("POST", "/inspect", body, {"Content-Type": content_type})
            answer = json.loads(connection.getresponse().read())
            wall = 1000 * (time.perf_counter() - start)
            timing = answer["results"][0]["timing_ms"]
            if number >= WARM_UP:
                total.append(wall)
                added.append(wall - timing["decode"] - timing["infer"])
    figures = {"request_ms": quantiles(total), "added_ms": quantiles(added)}
    for what, found in figures.items():
        sys.stdout.write(f"{what}: " + ", ".join(f"{k} {v}" for k, v in found.items()) + "\n")
    keep("latency", figures)


def quantiles(values: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    p50, p99 = np.quantile(values, (0.5, 0.99))
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


if __name__ == "__main__":
    typer.run(main)
