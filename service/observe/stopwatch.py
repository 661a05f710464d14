"""How long a block takes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter
from types import TracebackType
from typing import Self


class Stopwatch:
    """Tells the seconds of a block that does not fail, which a span is around where one is given.

    A class because a generator as a context manager takes several times as long.
    """

    def __init__(
        self, tell: Callable[[float], None], span: AbstractContextManager[object] | None = None
    ) -> None:
        self._tell = tell
        self._span = span

    def __enter__(self) -> Self:
        """Begin."""
        if self._span:
            self._span.__enter__()
        self._start = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, and tell."""
        seconds = perf_counter() - self._start
        if self._span:
            self._span.__exit__(kind, error, trace)
        if error is None:
            self._tell(seconds)
