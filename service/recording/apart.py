"""A thread for what may never return, such as a call of a database that has frozen."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from onegauge.records.errors import RecordsUnavailable

T = TypeVar("T")


class Apart:
    """Does one task at a time; who waits for it gives up after a while. For one other thread."""

    def __init__(self, what: str, within_s: float) -> None:
        self._what, self._within_s = what, within_s
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._last: Future[Any] | None = None
        self._thread = Thread(target=self._run, name=f"records-{what}", daemon=True)

    def run(self, task: Callable[[], T]) -> T:
        """What a task comes to.

        Raises what it raises, and RecordsUnavailable where it has not ended in time, or one before
        it has not ended yet. It may end later, and have been done then.
        """
        if self._last and not self._last.done():
            raise RecordsUnavailable(f"the {self._what} has not answered what was asked before")
        if not self._thread.is_alive():
            self._thread.start()
        done: Future[T] = Future()
        self._last = done
        self._tasks.put((done, task))
        try:
            return done.result(self._within_s)
        except TimeoutError as exc:
            late = f"the {self._what} has not answered within {self._within_s:g} s"
            raise RecordsUnavailable(late) from exc

    def _run(self) -> None:
        while True:
            done, task = self._tasks.get()
            try:
                done.set_result(task())
            except BaseException as exc:  # whatever it is, who waits is told
                done.set_exception(exc)
