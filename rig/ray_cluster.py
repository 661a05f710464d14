"""A Ray cluster of several nodes on this machine, each with processes of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ray.cluster_utils import Cluster

MEMORY = 256 * 2**20  # of objects on a node, in bytes


@contextmanager
def ray_cluster(cpus: int = 2) -> Iterator[Cluster]:
    """One with a first node of so many CPUs; more are added to it, and killed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it tells nobody of itself
    Path("/tmp/ray").mkdir(exist_ok=True)  # where it notes the address of the last one
    with TemporaryDirectory(prefix="og-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        own = {"temp_dir": folder, "include_dashboard": False, "object_store_memory": MEMORY}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, **own})
        try:
            yield cluster
        finally:
            cluster.shutdown()
