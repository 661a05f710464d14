"""What the gateway adds to a request that is alone: its time less that of decoding and the session.

    python -m bench.latency

A JPEG of a megapixel in a form, and by itself, `map=none`, one request after the other on one
connection. What a request took to decode and to infer is told by its own answer, so that each is
compared with itself; the rest is HTTP, the form, checks, ways between threads, regions, metrics and
the answer, until the last byte of it has come.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import httptools
import numpy as np
import typer

from bench.support.figures import keep
from bench.support.pictures import form, picture
from bench.support.servers import Served, server

WARM_UP, REQUESTS = 50, 600


def main() -> None:
    """Measure, print, keep the figures."""
    figures = measure()
    for kind, found in figures.items():
        for what, values in found.items():
            told = ", ".join(f"{k} {v}" for k, v in values.items())
            sys.stdout.write(f"{kind:6} {what}: {told}\n")
    keep("latency", figures)


def measure() -> dict[str, dict[str, Any]]:
    """Of `form` and `image` what `measured` tells."""
    image = picture()
    kinds = {"form": form(image), "image": (image, "image/jpeg")}
    with server("onegauge", Served()) as running:
        return {kind: measured(running.url, *sent) for kind, sent in kinds.items()}


def measured(url: str, body: bytes, content_type: str) -> dict[str, Any]:
    """Quantiles of the time of a request, and of what the gateway adds, in milliseconds."""
    where = urlsplit(url)
    head = (
        f"POST /inspect HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    total, added = [], []
    with socket.create_connection((where.hostname, where.port)) as connection:
        for number in range(WARM_UP + REQUESTS):
            start = time.perf_counter()
            connection.sendall(head.encode() + body)
            answer = received(connection)
            wall = 1000 * (time.perf_counter() - start)
            timing = json.loads(answer)["results"][0]["timing_ms"]
            if number >= WARM_UP:
                total.append(wall)
                added.append(wall - timing["decode"] - timing["infer"])
    return {"request_ms": quantiles(total), "added_ms": quantiles(added)}


def received(connection: socket.socket) -> bytes:
    """The body of the next answer."""
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    while not answer.complete:
        parser.feed_data(connection.recv(2**16))
    return answer.body


class _Answer:
    body = b""
    complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


def quantiles(values: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    p50, p99 = np.quantile(values, (0.5, 0.99))
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


if __name__ == "__main__":
    typer.run(main)
