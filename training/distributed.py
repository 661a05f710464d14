"""Several processes that train one detector together, each on its share of every step's images.

`torchrun` starts them and tells each of the others. One of them leads: it alone reads the images
and writes the run. A step of all of them is the same as a step of one process on all of the images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from onegauge.training.errors import TrainingError

LONGEST_WAIT = timedelta(days=7)  # for the one that leads; where one ends, the others hear of it


@contextmanager
def together(device: str) -> Iterator[None]:
    """Join the processes that torchrun has started, if it has, for the length of the block.

    Of the GPUs of a machine, unless the device is `cpu`, each has its own. Raises TrainingError,
    also when another process ends before its time.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    backend = "gloo"
    try:
        if device != "cpu" and torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, timeout=LONGEST_WAIT)
    except (RuntimeError, ValueError) as exc:
        raise TrainingError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the processes cannot be joined: {exc}; "
            "start them by torchrun, no more than there are GPUs, or one without WORLD_SIZE"
        ) from exc
    try:
        yield
    except RuntimeError as exc:
        if isinstance(exc, dist.DistError) or "gloo" in str(exc):
            raise TrainingError(
                f"another process of this training has ended, which tells why: {exc}"
            ) from exc
        raise
    finally:
        dist.destroy_process_group()


def size() -> int:
    """How many processes train together, most often 1."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this process among them."""
    return dist.get_rank() if dist.is_initialized() else 0


def leads() -> bool:
    """Whether this is the process that reads and writes."""
    return rank() == 0


def wait() -> None:
    """Go on when all processes have come here."""
    mean(0.0)  # by the processors: a barrier of NCCL would keep GPUs busy


def share(rows: np.ndarray) -> np.ndarray:
    """This process's part of the images of a step; all have as many."""
    each = len(rows) // size()
    return rows[rank() * each : (rank() + 1) * each]


def mean(*values: float) -> list[float]:
    """Means over all processes."""
    found = torch.tensor(values, dtype=torch.float64)
    if size() > 1:
        dist.all_reduce(found)
    return (found / size()).tolist()


def of_all(values: Tensor) -> Tensor:
    """The values (B, …) of all processes in their order, which have no gradient."""
    if size() == 1:
        return values
    found = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(size())]
    dist.all_gather(found, values.contiguous())
    return torch.cat(found)


def total(values: Tensor) -> Tensor:
    """The sum over all processes, through which gradients flow."""
    return values if size() == 1 else _Total.apply(values)


def averaged(module: nn.Module) -> Callable[..., Tensor]:
    """Its `loss`, whose gradients are means over all processes; they begin with equal weights."""
    return module.loss if size() == 1 else DistributedDataParallel(_Loss(module))


class _Loss(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *given: object) -> Tensor:
        return self.module.loss(*given)


class _Total(torch.autograd.Function):
    """Each process's loss depends on the sum, so that gradients of it add up, too."""

    @staticmethod
    def forward(_context: object, values: Tensor) -> Tensor:
        found = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(_context: object, gradient: Tensor) -> Tensor:
        return _Total.forward(_context, gradient)
