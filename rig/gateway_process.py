"""A gateway in a process of its own, as it runs in a plant."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).parents[1]


@dataclass
class Process:
    """A gateway in a process of its own."""

    popen: subprocess.Popen[str]
    welcome: list[str]
    log: IO[str]  # a file, since a pipe that nobody reads would hold the gateway up

    @property
    def url(self) -> str:
        return self.welcome[1].removeprefix("onegauge listens on ")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def end(self) -> tuple[int, str]:
        """Exit status and log, once it has ended."""
        self.popen.communicate(timeout=60)
        self.log.seek(0)
        return self.popen.returncode, self.log.read()


@contextmanager
def gateway_process(
    repository: Path, *, python: Path | str = sys.executable, cwd: Path = ROOT, **settings: str
) -> Iterator[Process]:
    """Runs while the block lasts, and is killed if it has not ended by then.

    `settings` are variables of its environment, `python` is of an environment with onegauge.
    """
    environment = {"ONEGAUGE_REPOSITORY": str(repository), "ONEGAUGE_PORT": "0", **settings}
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(
            [python, "-m", "onegauge", "serve"],
            env={**os.environ, **environment, "ONEGAUGE_LOG_FORMAT": "json"},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as popen,
    ):
        try:
            yield Process(popen, [popen.stdout.readline().strip() for _ in range(5)], log)
        finally:
            popen.kill()
