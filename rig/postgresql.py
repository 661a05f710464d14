"""A real PostgreSQL, from the system's package `postgresql`."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from rig import Missing
from rig.address import free_address

PROGRAMS = Path("/usr/lib/postgresql")
# it refuses to run as root; the package makes this user
USER: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


class Postgresql:
    """A server with its data in a folder of its own."""

    def __init__(self, folder: Path, programs: Path, settings: tuple[str, ...]):
        self._folder = folder
        self._programs = programs
        self._address = free_address()
        self._settings = (f"port={self._address.rpartition(':')[2]}", *settings)
        self._names = (f"records{number}" for number in count())
        self._run(
            "initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"
        )

    def start(self) -> None:
        """Return once it takes connections."""
        settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}")
        options = " ".join(f"-c {setting}" for setting in (*settings, *self._settings))
        log = self._folder / "log"
        self._run("pg_ctl", "start", "--wait", f"--log={log}", f"--options={options}")

    def stop(self) -> None:
        """End all connections, and the server; what was committed stays."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def new_database(self) -> str:
        """The URL of an empty database."""
        host, _, port = self._address.partition(":")
        name = next(self._names)
        self._run("createdb", f"--host={host}", f"--port={port}", "--username=postgres", name)
        return f"postgresql+psycopg://postgres@{self._address}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        environment = {**os.environ, "PGDATA": str(self._folder / "data")}
        command = [str(self._programs / program), *arguments]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, env=environment, cwd="/", check=True, **quiet, **USER)


@contextmanager
def postgresql(*settings: str) -> Iterator[Postgresql]:
    """A running server, with more settings such as `fsync=off`; raises Missing."""
    found = sorted(PROGRAMS.glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not found:
        raise Missing("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        if USER:
            shutil.chown(folder, **USER)
        server = Postgresql(folder, found[-1], settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
