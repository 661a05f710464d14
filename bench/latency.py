"""What the gateway adds to the network: p50 of POST /inspect beside the bare session.

    make bench

Starts the gateway on a free port with the bundled model, then takes turns, image by image,
between a request, decode + resize + session in this process, and the session alone. As in the
gateway, the threads of the session do not spin while they wait: they would take the cores from
the gateway when it is the gateway's turn.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import httpx
import onnxruntime

from service.image import read_image

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "model_repository" / "onegauge" / "1" / "model.onnx"
SIZE = (256, 256)
WARM_UP = 10
ROUNDS = 200
START_S = 30


def main() -> None:
    """Measure and print one JSON object; times in milliseconds, ratios to the session alone."""
    sample = next(iter(sorted((ROOT / "docs" / "samples").glob("*.jpg")))).read_bytes()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    port = _free_port()
    gateway = subprocess.Popen(
        [sys.executable, "-m", "onegauge", "serve", "--port", str(port)],
        env=os.environ | {"ONEGAUGE_LOG_LEVEL": "warning", "ONEGAUGE_API_KEYS": "off"},
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            _wait_until_ready(client)
            times = _take_turns(client, session, sample)
    finally:
        gateway.terminate()
        gateway.wait()
    p50 = {name: median(values[WARM_UP:]) for name, values in times.items()}
    ratios = {name: round(value / p50["session"], 2) for name, value in p50.items()}
    figures = {"rounds": ROUNDS, "p50_ms": {k: round(v, 2) for k, v in p50.items()}}
    sys.stdout.write(json.dumps(figures | {"ratio": ratios}) + "\n")


def _take_turns(
    client: httpx.Client, session: onnxruntime.InferenceSession, sample: bytes
) -> dict[str, list[float]]:
    pixels = read_image(sample, SIZE, max_pixels=10**8).pixels[None]  # (1, H, W, 3)

    def request() -> None:
        answer = client.post("/inspect", content=sample, headers={"Content-Type": "image/jpeg"})
        answer.raise_for_status()

    def bare() -> None:
        fresh = read_image(sample, SIZE, max_pixels=10**8).pixels[None]
        session.run(None, {"image": fresh})

    turns: dict[str, Callable[[], object]] = {
        "inspect": request,
        "decode and session": bare,
        "session": lambda: session.run(None, {"image": pixels}),
    }
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(WARM_UP + ROUNDS):
        for name, turn in turns.items():
            started = time.perf_counter()
            turn()
            times[name].append(1e3 * (time.perf_counter() - started))
    return times


def _wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            sys.exit(f"the gateway was not ready within {START_S} s")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
