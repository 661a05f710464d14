"""A thread for what may never return, such as a call of a database that has frozen."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Late(Exception):
    """Something has not ended in time; it may end later."""


class Apart:
    """Does one task at a time, in a thread by the name of what it asks. For one other thread."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._last: Future[Any] | None = None
        self._thread = Thread(target=self._run, name=what, daemon=True)

    def begin(self, task: Callable[[], T]) -> "Future[T]":
        """What a task will come to; raises Late where one before it has not ended yet."""
        if self._last and not self._last.done():
            raise Late(f"the {self._what} has not answered what was asked before")
        if not self._thread.is_alive():
            self._thread.start()
        done: Future[T] = Future()
        self._last = done
        self._tasks.put((done, task))
        return done

    def run(self, task: Callable[[], T], within_s: float) -> T:
        """What a task comes to.

        Raises what it raises, and Late where it, or one before it, has not ended in time.
        """
        done = self.begin(task)
        try:
            return done.result(within_s)
        except TimeoutError as exc:
            raise Late(f"the {self._what} has not answered within {within_s:g} s") from exc

    def _run(self) -> None:
        while True:
            done, task = self._tasks.get()
            try:
                done.set_result(task())
            except BaseException as exc:  # whatever it is, who waits is told
                done.set_exception(exc)
