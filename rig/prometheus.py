"""A real Prometheus, from the system's package `prometheus`."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import yaml

from rig import Missing
from rig.address import free_address, wait_until_ready

CONFIGURATION = Path(__file__).parents[1] / "docker" / "prometheus"
READY_WITHIN_S = 60.0
POLL_EVERY_S = 0.2


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        answer = httpx.get(
            f"{self.url}/api/v1/query", params={"query": expression}, timeout=30
        ).json()
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Any]:
        """The series of a range query, each with its labels and its (time, value)s."""
        params = {"query": expression, "start": start, "end": end, "step": step}
        answer = httpx.get(f"{self.url}/api/v1/query_range", params=params, timeout=30).json()
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])

    def wait_for(self, expression: str, within_s: float = READY_WITHIN_S) -> list[dict[str, Any]]:
        """The result as soon as there is one."""
        deadline = monotonic() + within_s
        while not (result := self.query(expression)):
            assert monotonic() < deadline, f"no data within {within_s} s: {expression}"
            sleep(POLL_EVERY_S)
        return result


def needed(program: str) -> str:
    """The path of a program of Prometheus; raises Missing."""
    if (path := shutil.which(program)) is None:
        raise Missing(f"{program} is not installed: apt-get install prometheus")
    return path


@contextmanager
def prometheus(folder: Path, jobs: Mapping[str, Sequence[str]]) -> Iterator[Prometheus]:
    """Scrapes the addresses of each job every second, with the project's own rules."""
    program, address = needed("prometheus"), free_address()
    config = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    config |= {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(CONFIGURATION / name) for name in config["rule_files"]],
        "alerting": {},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
            for job, addresses in jobs.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            server = Prometheus(f"http://{address}")
            wait_until_ready(f"{server.url}/-/ready", process, READY_WITHIN_S)
            yield server
        finally:
            process.terminate()
