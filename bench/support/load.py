"""A load on one address, from a process of its own.

    python -m bench.support.load URL BODY CONTENT_TYPE --seconds S (--connections N | --rate R)

closed  N connections that ask again as soon as they are answered
open    requests at random moments, R a second on average, whatever becomes of those before. Their
        latency counts from the moment they were due, so that a server that stops for a while is
        seen by all who would have come in that while (no coordinated omission).

BODY is a file, or a folder of files that take turns.

Prints one JSON object: answers by status, answers of 200 a second, their latency in seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httptools
import numpy as np
import typer

CONNECTIONS = 8  # of a closed load, where nothing else is said
LOST = 0  # the status of a request whose connection broke
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
GIVE_UP_S = 60


def load(url: str, body: Path, content_type: str, seconds: float, **how: float) -> dict[str, Any]:
    """Put a server under a load of `connections` or of a `rate`; what the command prints."""
    options = [f"--{name}={value:g}" for name, value in how.items()]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.support.load",
            url,
            body,
            content_type,
            f"--seconds={seconds:g}",
        ]
        + options,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def main(
    url: str,
    body: Path,
    content_type: str,
    seconds: Annotated[float, typer.Option()],
    connections: int = 0,
    rate: float = 0.0,
) -> None:
    """Make the load and print what came of it."""
    if (connections > 0) == (rate > 0):
        sys.exit("say --connections or --rate")
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\n"
    files = sorted(body.iterdir()) if body.is_dir() else [body]
    requests = [_request(head, file.read_bytes()) for file in files]
    client = _Client(parts.hostname or "", parts.port or 80, cycle(requests))
    making = client.closed(connections, seconds) if connections else client.open(rate, seconds)
    asyncio.run(asyncio.wait_for(making, seconds + GIVE_UP_S))
    sys.stdout.write(json.dumps(client.summary(seconds)) + "\n")


def _request(head: str, data: bytes) -> bytes:
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


class _Connection(asyncio.Protocol):
    """Asks once at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[int] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self.lost = not self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        self._settle(status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.lost = True
        self._settle(LOST)

    def _settle(self, status: int) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(status)

    async def ask(self, request: bytes) -> int:
        """The status of the answer, LOST where there is none."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


@dataclass
class _Client:
    host: str
    port: int
    requests: Iterator[bytes]
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)  # of answers of 200, late ones too
    late: int = 0  # answers of 200 after the end

    async def closed(self, connections: int, seconds: float) -> None:
        now = asyncio.get_running_loop().time
        self._end = now() + seconds

        async def ask_again_and_again() -> None:
            connection = await self._connect()
            while (start := now()) < self._end:
                if connection.lost:
                    connection = await self._connect()
                self._note(await connection.ask(next(self.requests)), start)

        await asyncio.gather(*(ask_again_and_again() for _ in range(connections)))

    async def open(self, rate: float, seconds: float) -> None:
        now, chance = asyncio.get_running_loop().time, random.Random(0)
        due, idle, asking = now(), list[_Connection](), set[asyncio.Task[None]]()
        self._end = due + seconds

        async def ask(due: float) -> None:
            try:
                connection = idle.pop() if idle else await self._connect()
                status = LOST if connection.lost else await connection.ask(next(self.requests))
            except OSError:
                self._note(LOST, due)
                return
            self._note(status, due)
            if not connection.lost:
                idle.append(connection)

        while (due := due + chance.expovariate(rate)) < self._end:
            await asyncio.sleep(due - now())
            task = asyncio.create_task(ask(due))
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.gather(*asking)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self.host, self.port)
        return connection

    def _note(self, status: int, start: float) -> None:
        now = asyncio.get_running_loop().time()
        self.statuses[status] += 1
        if status == 200:
            self.latencies.append(now - start)
            self.late += now > self._end

    def summary(self, seconds: float) -> dict[str, object]:
        """What came of it; the rate is of answers of 200 that came before the end."""
        values = np.quantile(self.latencies or [0.0], list(QUANTILES.values()))
        return {
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "rate": (len(self.latencies) - self.late) / seconds,
            **{n: float(v) for n, v in zip(QUANTILES, values, strict=True)},
        }


if __name__ == "__main__":
    typer.run(main)
