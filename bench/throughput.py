"""Images a second of the gateway beside the limit of the machine and beside peers, in one run.

    make bench

limit    decode, resize and the same session on all cores, without HTTP
plain    the same graph behind a plain FastAPI handler
litserve the same behind LitServe, installed in an environment of its own

All take turns, round by round, so that what else the machine does hits them alike. The load is a
JPEG of a megapixel from 8 connections of wrk, a program of its own, that ask again as soon as they
are answered. Ratios are to the limit of the same round.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date
from io import BytesIO
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import typer
from PIL import Image

from service.backends.onnx import compile_model
from service.image import read_image
from tests.tritonserver import free_address

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "model_repository" / "onegauge" / "1" / "model.onnx"
SIZE = (256, 256)
CONNECTIONS = 8
READY_WITHIN_S = 60
LITSERVE = "litserve==0.2.19"
SCRIPT = """
local file = io.open("{image}", "rb"); local data = file:read("*a"); file:close()
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=part"
local disposition = 'form-data; name="image"; filename="a.jpg"'
local head = "Content-Disposition: " .. disposition .. "\\r\\nContent-Type: image/jpeg\\r\\n\\r\\n"
wrk.body = "--part\\r\\n" .. head .. data .. "\\r\\n--part--\\r\\n"
"""


def main(seconds: float = 8, rounds: int = 5, results: Path = ROOT / "bench" / "results") -> None:
    """Measure, print a table, keep the figures."""
    if shutil.which("wrk") is None:
        sys.exit("wrk makes the load: apt-get install wrk")
    picture = megapixel()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        script = Path(folder) / "post.lua"
        (Path(folder) / "image.jpg").write_bytes(picture)
        script.write_text(SCRIPT.format(image=Path(folder) / "image.jpg"))
        urls = {name: stack.enter_context(server(name)) for name in SERVERS}
        measured: dict[str, list[dict[str, float]]] = {"limit": []} | {n: [] for n in urls}
        for _ in range(rounds):
            measured["limit"].append(limit(picture, seconds))
            for name, url in urls.items():
                measured[name].append(loaded(url, script, seconds))
    report(measured, results)


def megapixel() -> bytes:
    """A JPEG of 1,000 x 1,000 pixels with as much detail as a photograph."""
    sample = Image.open(ROOT / "docs" / "samples" / "board-normal.jpg").resize((1000, 1000))
    grain = np.random.default_rng(0).normal(0, 4, (1000, 1000, 1))
    file = BytesIO()
    pixels = (np.asarray(sample, float) + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def limit(picture: bytes, seconds: float) -> dict[str, float]:
    """What all cores can do without HTTP: as many threads as cores decode, one session runs."""
    run, done = compile_model(MODEL, 0).beside, 0
    deadline = time.monotonic() + seconds

    def work() -> int:
        count = 0
        while time.monotonic() < deadline:
            run(read_image(picture, SIZE, max_pixels=10**8).pixels[None])
            count += 1
        return count

    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        done = sum(future.result() for future in [pool.submit(work) for _ in range(threads)])
    return {"rate": done / seconds}


def loaded(url: str, script: Path, seconds: float) -> dict[str, float]:
    """Rate and latencies in seconds under wrk; raises where an answer was none."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", "--timeout", "30s"]
    done = subprocess.run(
        [*command, "-s", str(script), f"{url}/inspect"], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"{url} failed under load:\n{done.stdout}")
    found = dict(re.findall(r"(50%|99%)\s+([\d.]+m?s)", done.stdout))
    (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)
    return {"rate": float(rate), "p50": _seconds(found["50%"]), "p99": _seconds(found["99%"])}


def _seconds(text: str) -> float:
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])


def onegauge(port: str) -> tuple[list[str], dict[str, str]]:
    """The gateway as it is, on ONNX Runtime."""
    settings = {"PORT": port, "API_KEYS": "off", "LOG_LEVEL": "warning"}
    return [sys.executable, "-m", "service"], {f"ONEGAUGE_{k}": v for k, v in settings.items()}


def plain(port: str) -> tuple[list[str], dict[str, str]]:
    """FastAPI alone, in the same environment."""
    return [sys.executable, "bench/peers/plain.py"], {"PORT": port, "MODEL": str(MODEL)}


def litserve(port: str) -> tuple[list[str], dict[str, str]]:
    """LitServe in an environment of its own, made at the first call."""
    home = ROOT / ".cache" / "peers" / LITSERVE.replace("==", "-")
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        packages = [LITSERVE, "onnxruntime", "pillow", "python-multipart"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return [str(python), "bench/peers/lit.py"], {"PORT": port, "MODEL": str(MODEL)}


SERVERS: dict[str, Callable[[str], tuple[list[str], dict[str, str]]]] = {
    "onegauge": onegauge,
    "plain": plain,
    "litserve": litserve,
}


@contextmanager
def server(name: str) -> Iterator[str]:
    """The address of a server while the block lasts."""
    port = free_address().rpartition(":")[2]
    command, environment = SERVERS[name](port)
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_up(url, process)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its workers, too


def _wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"{process.args} did not start")


def report(measured: dict[str, list[dict[str, float]]], results: Path) -> None:
    """Medians over the rounds, the ratio to the limit first."""
    rows = {}
    for name, rounds in measured.items():
        ratios = [r["rate"] / of["rate"] for r, of in zip(rounds, measured["limit"], strict=True)]
        rows[name] = {
            "ratio_to_limit": round(median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
            **{key: round(median(r[key] for r in rounds), 4) for key in rounds[0]},
        }
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    figures = {"date": date.today().isoformat(), "machine": machine, "throughput": rows}
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{figures['date']}.json").write_text(json.dumps(figures, indent=1) + "\n")
    sys.stdout.write("ratio  lowest highest   images/s   p50 ms   p99 ms\n")
    for name, row in rows.items():
        times = "".join(f"{1000 * row[k]:9.1f}" for k in ("p50", "p99") if k in row)
        sys.stdout.write(
            f"{row['ratio_to_limit']:.3f}  {row['lowest']:.3f}  {row['highest']:.3f}"
            f"  {row['rate']:9.1f}{times}  {name}\n"
        )


if __name__ == "__main__":
    typer.run(main)
