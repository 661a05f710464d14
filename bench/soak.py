"""Hours of a busy line in minutes: a gateway at full load must neither fail nor grow.

    python -m bench.soak --seconds 600 --requests 20000

Starts a gateway with the ONEGAUGE_ variables of the environment (by default the bundled model in
its process), sends images of all sizes and formats, good and broken, until both bounds are reached,
and prints one JSON object. Ends with status 1 when an answer was not as expected.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles
from typing import TypeAlias

import httpx
import numpy as np
import typer
from PIL import Image

from onegauge.service.settings import Settings
from rig.address import wait_until_ready
from rig.gateway_process import gateway_process

CLIENTS = 8
WARM_UP = 0.1  # share of the requests after which memory is first looked at
MAPS = ("none",) * 16 + ("png", "npy", "overlay", "mask")
SIZES = ((64, 64), (256, 256), (640, 480), (1024, 768), (1600, 1200))
READY_WITHIN_S = 30
OFTEN = (8, 8, 4, 2, 1)  # how often each size

Files: TypeAlias = tuple[list[bytes], list[int], list[bytes]]


@dataclass
class Soak:
    """What was sent so far, and what came back."""

    process: subprocess.Popen[str]
    seconds: float
    requests: int
    started: float = field(default_factory=time.monotonic)
    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    warm: dict[str, int] = field(default_factory=dict)

    def goes_on(self) -> bool:
        """Whether a bound has not been reached; takes the first look at memory on the way."""
        sent = self.statuses.total()
        if not self.warm and sent >= WARM_UP * self.requests:
            self.warm = self.look()
        return sent < self.requests or time.monotonic() - self.started < self.seconds

    def look(self) -> dict[str, int]:
        """Resident memory in KiB, open files, threads."""
        home = Path(f"/proc/{self.process.pid}")
        lines = dict(line.split(":", 1) for line in (home / "status").read_text().splitlines())
        files = len(list((home / "fd").iterdir()))
        return {
            "rss_kib": int(lines["VmRSS"].split()[0]),
            "files": files,
            "threads": int(lines["Threads"]),
        }


def pictures() -> Files:
    """Good files of all sizes and formats, how often to send each, and broken ones."""
    rng = np.random.default_rng(0)
    good = []
    often = [count for count in OFTEN for _ in range(7)] + [1]
    for width, height in SIZES:
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        image = coarse.resize((width, height), Image.Resampling.BICUBIC)
        for encoding in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
            good.append(encoded(image, encoding))
        good.append(encoded(image.convert("L"), "PNG"))
        good.append(encoded(image.convert("CMYK"), "JPEG"))
    deep = rng.integers(0, 2**16, (480, 640), np.uint16)
    good.append(encoded(Image.fromarray(deep), "PNG"))
    return good, often, [b"", b"no image", good[0][:-100], good[1][: len(good[1]) // 2]]


def encoded(image: Image.Image, encoding: str) -> bytes:
    """The bytes of a file."""
    file = BytesIO()
    image.save(file, encoding)
    return file.getvalue()


async def client(soak: Soak, url: str, seed: int, files: Files) -> None:
    """One line that sends one request after the other."""
    draw = random.Random(seed)
    good, often, broken = files
    async with httpx.AsyncClient(base_url=url, timeout=60) as gateway:
        while soak.goes_on():
            images = draw.choices(good, often, k=draw.choice((1,) * 10 + (2, 8)))
            wrong = draw.random() < 0.05
            if wrong:
                images = [draw.choice(broken)]
            start = time.monotonic()
            response = await gateway.post(
                "/v1/inspect",
                files=[("image", image) for image in images],
                params={"map": draw.choice(MAPS)},
            )
            soak.latencies.append(time.monotonic() - start)
            soak.statuses[response.status_code] += 1
            if (response.status_code == 200) == wrong:
                soak.unexpected.append(response.text[:300])


async def run(soak: Soak, url: str) -> None:
    """All clients until the end."""
    files = pictures()
    await asyncio.gather(*(client(soak, url, seed, files) for seed in range(CLIENTS)))


def main(seconds: float = 600, requests: int = 20_000) -> None:
    """Start a gateway, soak it, print what it took."""
    os.environ.setdefault("ONEGAUGE_API_KEYS", "off")
    with gateway_process(Settings().repository, ONEGAUGE_LOG_LEVEL="warning") as gateway:
        wait_until_ready(f"{gateway.url}/readyz", gateway.popen, READY_WITHIN_S)
        soak = Soak(gateway.popen, seconds, requests)
        asyncio.run(run(soak, gateway.url))
        report(soak)
        gateway.popen.terminate()
        status, log = gateway.end()
    sys.stderr.write(log)
    sys.exit(bool(soak.unexpected) or status)


def report(soak: Soak) -> None:
    """One JSON object."""
    seconds, now = time.monotonic() - soak.started, soak.look()
    figures = {
        "requests": soak.statuses.total(),
        "seconds": round(seconds),
        "requests_per_second": round(soak.statuses.total() / seconds, 1),
        "statuses": dict(soak.statuses),
        "unexpected": soak.unexpected[:5],
        "latency_ms": {
            "median": round(1000 * median(soak.latencies)),
            "p99": round(1000 * quantiles(soak.latencies, n=100)[-1]),
        },
        "after_warm_up": soak.warm,
        "at_the_end": now,
        "rss_growth_percent": round(100 * (now["rss_kib"] / soak.warm["rss_kib"] - 1), 1),
    }
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
