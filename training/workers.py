"""Who computes the long steps of a training: chunk by chunk, none of which needs another.

A chunk is computed on one core, by whoever computes it. So the same comes out of it, however many
cores there are and wherever they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

AHEAD = 2  # chunks under way for each core: while one is computed the next is there
ON_GPU = 4  # chunks at a time, whose batches have to fit into its memory together
CPU = torch.device("cpu")

Chunk = TypeVar("Chunk")
Found = TypeVar("Found")
Ticket = TypeVar("Ticket")


class Workers(ABC):
    """Some cores."""

    @abstractmethod
    def map(self, function: Callable[[Chunk], Found], chunks: Iterable[Chunk]) -> Iterator[Found]:
        """What `function` finds in each chunk, in their order; few of them are under way at once.

        Its errors are raised as if it had been called here.
        """

    def require(self, device: torch.device) -> None:  # noqa: B027  here all will do
        """Raise ConfigError for a device that they cannot compute on."""


@dataclass(frozen=True)
class Here(Workers):
    """The cores of this process, as many as torch may use; or a GPU that they share."""

    device: torch.device = CPU

    def map(self, function: Callable[[Chunk], Found], chunks: Iterable[Chunk]) -> Iterator[Found]:
        """In threads."""
        allowed = torch.get_num_threads()
        threads = allowed if self.device == CPU else min(allowed, ON_GPU)
        pool = ThreadPoolExecutor(threads)
        try:
            futures = in_order(lambda c: pool.submit(compute, function, c), chunks, threads)
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(allowed)  # which new threads take from the latest one that set it


def compute(function: Callable[[Chunk], Found], chunk: Chunk) -> Found:
    """Call the function in a thread or a process that is there for chunks alone."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        return function(chunk)


def in_order(
    submit: Callable[[Chunk], Ticket], chunks: Iterable[Chunk], cores: int
) -> Iterator[Ticket]:
    """What `submit` gives for each chunk, to wait for; a few are submitted ahead."""
    under_way: deque[Ticket] = deque()
    for chunk in chunks:
        if len(under_way) == AHEAD * cores:
            yield under_way.popleft()
        under_way.append(submit(chunk))
    while under_way:
        yield under_way.popleft()
