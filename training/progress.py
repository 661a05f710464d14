"""The long steps of a training: who computes them, how far they are, and the time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from onegauge.training.workers import Workers


@dataclass(frozen=True)
class Step:
    """One running step."""

    bars: Bars
    task: TaskID

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count `amount` more as done; `note` is shown behind the bar until the next one."""
        self.bars.update(self.task, advance=amount, note=note)


class Progress:
    """Bars on stderr; on anything that is not a terminal only the finished steps are printed."""

    def __init__(self, workers: Workers | None = None, *, quiet: bool = False) -> None:
        self._workers = workers
        self.console = Console(stderr=True, quiet=quiet)

    @cached_property
    def workers(self) -> Workers:
        """Who computes the steps: this process, unless others were named."""
        from onegauge.training.workers import Here  # teaching has progress, too, and no torch

        return self._workers or Here()

    def say(self, message: str) -> None:
        """Print one line above the bars."""
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Step]:
        """A bar from 0 to `total` for the length of the block."""
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Bars(*columns, console=self.console) as bars:
            yield Step(bars, bars.add_task(name, total=total, note=""))
