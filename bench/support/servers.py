"""The gateway and others that serve the same graph, each started for a benchmark.

The others are installed in environments of their own under .cache, at their first start, and do
what their documentation shows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from rig.address import free_address

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".cache" / "peers"
READY_WITHIN_S, ENDED_WITHIN_S = 90, 15
LITSERVE, BENTOML = "litserve==0.2.19", "bentoml==1.4.40"
_DECODING = ("onnxruntime", "pillow", "numpy")


@dataclass(frozen=True)
class Served:
    """A published model."""

    repository: Path = ROOT / "model_repository"
    name: str = "onegauge"

    @property
    def file(self) -> Path:
        """Of its first version."""
        return self.repository / self.name / "1" / "model.onnx"


def peer_python(package: str, *others: str) -> str:
    """The interpreter of an environment with a peer, made at the first call."""
    python = PEERS / package.replace("==", "-") / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", package, *others], check=True)
    return str(python)


def _onegauge(port: str, model: Served) -> tuple[list[str], dict[str, str]]:
    settings = {
        "PORT": port,
        "REPOSITORY": str(model.repository),
        "MODEL": model.name,
        "API_KEYS": "off",
        "LOG_LEVEL": "warning",
    }
    return [sys.executable, "-m", "onegauge", "serve"], {
        f"ONEGAUGE_{k}": v for k, v in settings.items()
    }


def _plain(port: str, model: Served) -> tuple[list[str], dict[str, str]]:
    """FastAPI alone, in the same environment."""
    return [sys.executable, "bench/peers/plain.py"], {"PORT": port, "MODEL": str(model.file)}


def _litserve(port: str, model: Served) -> tuple[list[str], dict[str, str]]:
    python = peer_python(LITSERVE, *_DECODING, "python-multipart")
    return [python, "bench/peers/lit.py"], {"PORT": port, "MODEL": str(model.file)}


def _bentoml(port: str, model: Served) -> tuple[list[str], dict[str, str]]:
    python = peer_python(BENTOML, *_DECODING)
    command = [python, "-m", "bentoml", "serve", "bento:Gauge", "--port", port]
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(PEERS / "bentoml-home")}
    folder = ["--working-dir", "bench/peers"]
    return command + folder, {"MODEL": str(model.file), **quiet}


SERVERS = {
    "onegauge": _onegauge,
    "plain": _plain,
    "litserve": _litserve,
    "bentoml": _bentoml,
}


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    pid: int

    def event_loop_s(self) -> float:
        """Seconds of the CPU that its first thread has taken so far."""
        return _cpu_s(Path(f"/proc/{self.pid}/task/{self.pid}/stat"))

    def cpu_s(self) -> float:
        """Seconds of the CPU that all its threads have taken so far."""
        return _cpu_s(Path(f"/proc/{self.pid}/stat"))

    def memory_mb(self) -> float:
        """The most that has been resident so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _cpu_s(stat: Path) -> float:
    # of /proc/[pid]/stat the 14th and 15th; the second, the name, may have spaces in it
    told = stat.read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(name: str, model: Served, **settings: str) -> Iterator[Running]:
    """One of SERVERS while the block lasts."""
    port = free_address().rpartition(":")[2]
    command, environment = SERVERS[name](port, model)
    # it has a session of its own, and would outlive a benchmark that SIGTERM ends at once
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_up(url, process)
            yield Running(url, process.pid)
        finally:
            process.terminate()  # and its workers by it, which may have left its group
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDED_WITHIN_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


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
