"""Ray, for work on many images or many machines: one of this process's own, or a cluster that runs.

It needs the extra `ray`, and is imported where it is started.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from onegauge.cores import cores

MEBI = 2**20
MEMORY_A_CORE = 256 * MEBI  # bytes that tasks on one core may have under way between them
LEAST_MEMORY = 512 * MEBI
ANSWER_WITHIN_S = 5.0


class ClusterError(Exception):
    """No Ray can be used; the message says why."""


@contextmanager
def running_ray(address: str | None = None) -> Iterator[None]:
    """Ray while the block lasts; one that this process has begun before is used as it is.

    `address` is HOST:PORT of a cluster, or `auto` for the one that this machine belongs to. Without
    it, and without RAY_ADDRESS, Ray runs on the cores of this process, and ends with the block.
    Raises ClusterError.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS")
    with ExitStack() as stack:
        options = _joining(address) if address else _own(stack)
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as exc:
            raise ClusterError(f"Ray cannot be used: {exc}") from exc
        stack.callback(ray.shutdown)
        yield


def _own(stack: ExitStack) -> dict[str, Any]:
    """Options of a Ray that nobody else knows of, and that tells nobody."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # its processes inherit that
    # paths of sockets may have 107 bytes, and those of Ray are long: TMPDIR may be too deep for it
    folder = os.environ.get("RAY_TMPDIR", "/tmp")
    temporary = TemporaryDirectory(prefix="og-", dir=folder, ignore_cleanup_errors=True)
    return {
        "address": "local",
        "num_cpus": cores(),
        "include_dashboard": False,
        "object_store_memory": max(LEAST_MEMORY, cores() * MEMORY_A_CORE),
        "_temp_dir": stack.enter_context(temporary),
    }


def _joining(address: str) -> dict[str, Any]:
    """Options to join a cluster; where nobody listens, Ray itself would try for minutes."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), ANSWER_WITHIN_S).close()
        except (OSError, OverflowError, ValueError) as exc:
            raise ClusterError(
                f"no Ray cluster answers at {address}: give HOST:PORT as ray start --head tells "
                "it, or auto on a machine of the cluster"
            ) from exc
    return {"address": address}
