"""The cores of a Ray cluster, on which chunks are computed as they are here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from onegauge.cluster import ClusterError
from onegauge.training.errors import ConfigError
from onegauge.training.workers import CPU, Chunk, Found, Workers, compute, in_order

RETRIES = 3  # of a chunk whose worker has died


class RayWorkers(Workers):
    """All cores of the cluster that this process has joined.

    Chunks and what is found in them go through its object store: no machine needs the images or
    the run's folder, but each the same onegauge, and for the same bits the same kind of processor.
    """

    def require(self, device: torch.device) -> None:
        """Raise ConfigError for a GPU."""
        if device != CPU:
            raise ConfigError(
                f"workers of Ray compute on processors, not on {device}: --device cpu"
            )

    def map(self, function: Callable[[Chunk], Found], chunks: Iterable[Chunk]) -> Iterator[Found]:
        """In tasks of one core; those of a worker that dies are done again. Raises ClusterError."""
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(compute)
        cores = int(ray.cluster_resources().get("CPU", 1))
        there = ray.put(function)  # once for all chunks
        for reference in in_order(lambda chunk: task.remote(there, chunk), chunks, cores):
            yield _found(reference)


def _found(reference: ray.ObjectRef) -> Found:
    try:
        return ray.get(reference)
    except RayTaskError as exc:
        if isinstance(exc.cause, ImportError):
            raise ClusterError(
                f"a machine of the cluster lacks what training needs: {exc.cause}; install the "
                "same onegauge on each, with the extras ray and train"
            ) from exc
        raise exc.cause from exc
    except RayError as exc:
        raise ClusterError(f"Ray could not compute a part of the training: {exc}") from exc
