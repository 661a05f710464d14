"""How far a run is: a bar where people watch, else a line now and then, both on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 60.0


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """Gives the function that counts more images as inspected."""
    console = Console(stderr=True)
    begun = said = monotonic()
    done = 0
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    shown = Progress(TextColumn("Inspecting"), *columns, console=console, transient=True)
    shown.disable = not console.is_terminal
    task = shown.add_task("", total=total)

    def advance(images: int) -> None:
        nonlocal done, said
        done += images
        shown.advance(task, images)
        if shown.disable and (now := monotonic()) - said >= LINE_EVERY_S:
            said = now
            console.print(f"inspected {done:,} of {total:,}, {done / (now - begun):.0f} a second")

    with shown:
        yield advance
