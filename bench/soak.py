"""Hours of a busy line in minutes: a gateway at full load must neither fail nor grow.

    python -m bench.soak --seconds 600 --requests 20000

Starts a gateway with the ONEGAUGE_ variables of the environment (by default the bundled model in
its process), sends images of all sizes and formats, good and broken, until both bounds are reached,
and prints one JSON object. Ends with status 1 when an answer was not as expected.

With --plant the gateway tells a receiver of webhooks, a broker and a controller of each decision,
and what has arrived there is counted: status 1, too, unless that is all of it.
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
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, TypeAlias

import httpx
import numpy as np
import typer
from PIL import Image

from bench.support.plant import plant
from bench.support.turns import LINE, folder_on_disk
from onegauge.service.settings import Settings
from rig.address import wait_until_ready
from rig.gateway_process import gateway_process

CLIENTS = 8
WARM_UP = 0.1  # share of the requests after which memory is first looked at
MAPS = ("none",) * 16 + ("png", "npy", "overlay", "mask")
SIZES = ((64, 64), (256, 256), (640, 480), (1024, 768), (1600, 1200))
READY_WITHIN_S, ANSWERED_WITHIN_S, ARRIVED_WITHIN_S = 120, 300, 60
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
    decided: int = 0  # images
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
    async with httpx.AsyncClient(base_url=url, timeout=ANSWERED_WITHIN_S) as gateway:
        while soak.goes_on():
            images = draw.choices(good, often, k=draw.choice((1,) * 10 + (2, 8)))
            wrong = draw.random() < 0.05
            if wrong:
                images = [draw.choice(broken)]
            start = time.monotonic()
            response = await gateway.post(
                "/v1/inspect",
                files=[("image", image) for image in images],
                params={"map": draw.choice(MAPS), "line": LINE},
            )
            soak.latencies.append(time.monotonic() - start)
            soak.statuses[response.status_code] += 1
            soak.decided += len(images) if response.status_code == 200 else 0
            if (response.status_code == 200) == wrong:
                soak.unexpected.append(response.text[:300])


async def run(soak: Soak, url: str) -> None:
    """All clients until the end."""
    files = pictures()
    await asyncio.gather(*(client(soak, url, seed, files) for seed in range(CLIENTS)))


def main(
    seconds: float = 600,
    requests: int = 20_000,
    with_plant: Annotated[bool, typer.Option("--plant")] = False,
) -> None:
    """Start a gateway, soak it, print what it took."""
    os.environ.setdefault("ONEGAUGE_API_KEYS", "off")
    with ExitStack() as stack:
        folder = stack.enter_context(folder_on_disk())
        told = stack.enter_context(plant(folder)) if with_plant else None
        settings = {"ONEGAUGE_LOG_LEVEL": "warning", **(told.settings if told else {})}
        gateway = stack.enter_context(gateway_process(Settings().repository, **settings))
        wait_until_ready(f"{gateway.url}/readyz", gateway.popen, READY_WITHIN_S)
        soak = Soak(gateway.popen, seconds, requests)
        with told.watched() if told else nullcontext():
            asyncio.run(run(soak, gateway.url))
        arrived = told.arrived(soak.decided, ARRIVED_WITHIN_S) if told else {}
        report(soak, arrived)
        gateway.popen.terminate()
        status, log = gateway.end()
    sys.stderr.write(log)
    lost = any(count != soak.decided for count in arrived.values())
    sys.exit(bool(soak.unexpected) or lost or status)


def report(soak: Soak, arrived: Mapping[str, int]) -> None:
    """One JSON object."""
    seconds, now = time.monotonic() - soak.started, soak.look()
    figures = {
        "requests": soak.statuses.total(),
        "seconds": round(seconds),
        "requests_per_second": round(soak.statuses.total() / seconds, 1),
        "statuses": dict(soak.statuses),
        "unexpected": soak.unexpected[:5],
        "decided": soak.decided,
        "arrived": arrived,
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
