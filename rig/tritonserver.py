"""A real Triton Inference Server, without a container.

The wheel `nvidia-pytriton` carries the server's binary and its Python backend. It is installed
once into a cache folder (`ONEGAUGE_TEST_CACHE`, else `.cache/` in the checkout) and never imported.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from rig import Missing
from rig.installed import CACHE, pip_install
from rig.once import once

WHEEL = "nvidia-pytriton==0.7.0"
LIBRARIES = Path(sysconfig.get_config_var("LIBDIR"))
READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 30.0
POLL_EVERY_S = 0.1


def install() -> Path:
    """The folder of the server's wheel, its Python backend made ready for the running Python.

    Raises Missing where it cannot be had.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not (LIBRARIES / f"libpython{python}.so.1.0").exists():
        raise Missing(f"Triton's Python backend needs the package libpython{python}")

    def make(draft: Path) -> None:
        # its dependencies pin an old numpy, and only the binaries are wanted
        pip_install(WHEEL, draft, "--no-deps", "--no-compile")
        _add_stub(draft, python)

    return once(CACHE / f"{WHEEL.replace('==', '-')}-python{python}", make)


def _add_stub(folder: Path, python: str) -> None:
    server = folder / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / python / "triton_python_backend_stub"
    if not stub.exists():
        raise Missing(f"{WHEEL} has no Python backend for Python {python}")
    shutil.copy(stub, server / "backends" / "python")


@contextmanager
def tritonserver(
    repository: Path, log: Path, address: str, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Serve `repository` by gRPC at `address` with a real Triton while in the context."""
    home = install()
    with (
        log.open("w") as output,
        subprocess.Popen(
            [*_command(home, repository, address), *options],
            env=_environment(home),
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait_until_ready(process, address, log)
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _command(home: Path, repository: Path, address: str) -> list[str]:
    server = home / "pytriton" / "tritonserver"
    host, port = address.split(":")
    return [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={server / 'backends'}",
        f"--grpc-address={host}",
        f"--grpc-port={port}",
        "--allow-http=false",
        "--allow-metrics=false",
        "--exit-timeout-secs=5",
    ]


def _environment(home: Path) -> dict[str, str]:
    """The backend's stub finds this Python on PATH and its libpython on LD_LIBRARY_PATH."""
    libraries = [str(home / "nvidia_pytriton.libs"), str(LIBRARIES)]
    return os.environ | {
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = monotonic() + READY_WITHIN_S
    with tritonclient.grpc.InferenceServerClient(address) as client:
        while not _is_ready(client):
            try:
                process.wait(POLL_EVERY_S)
            except subprocess.TimeoutExpired:
                if monotonic() < deadline:
                    continue
            raise AssertionError(f"tritonserver did not start:\n{log.read_text()[-4000:]}")


def _is_ready(client: tritonclient.grpc.InferenceServerClient) -> bool:
    try:
        return bool(client.is_server_ready(client_timeout=1.0))
    except InferenceServerException:
        return False
