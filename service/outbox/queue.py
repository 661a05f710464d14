"""What waits to leave: put by the event loop, taken by one thread, within bounds."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition
from typing import Generic, NamedTuple, Protocol, TypeVar

BATCH = 200  # rows that are taken at once
MAX_ROWS = 10_000
MAX_BYTES = 128 * 2**20  # of pictures and what is with them


class Sized(Protocol):
    """Something that takes memory."""

    @property
    def size(self) -> int:
        """Bytes."""


class Until(NamedTuple):
    """When a batch is taken: after so many seconds, or once so many items are there."""

    seconds: float
    items: int = BATCH


T = TypeVar("T", bound=Sized)


class Queue(Generic[T]):
    """First in, first out; nobody who puts ever waits."""

    def __init__(self, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> None:
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._bytes = 0
        self._came = self._went = 0  # how many so far
        self._enough = BATCH  # upon which who takes is woken, not at each: it would cost more
        self._flushes: list[tuple[int, Future[None]]] = []  # each after so many
        self._began = self._ended = False

    def __len__(self) -> int:
        return len(self._items)

    def has_room(self, size: int) -> bool:
        """Whether an item of so many bytes more is within the bound of bytes."""
        return self._bytes + size <= self._max_bytes

    def put(self, item: T) -> bool:
        """Append an item; False where there are too many."""
        with self._changed:
            if len(self._items) >= self._max_rows:
                return False
            self._items.append(item)
            self._bytes += item.size
            self._came += 1
            if len(self._items) == self._enough:
                self._changed.notify()
        return True

    def flush(self) -> Future[None]:
        """Have all that is there taken now; done once it is, at once if nothing is there."""
        written: Future[None] = Future()
        with self._changed:
            if self._began and self._came == self._went:
                written.set_result(None)
                return written
            self._flushes.append((self._came, written))
            self._changed.notify()
        return written

    def end(self) -> None:
        """Have all that is there taken, and then no more."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    @property
    def first(self) -> T | None:
        """What waits longest."""
        with self._changed:
            return self._items[0] if self._items else None

    @property
    def ended(self) -> bool:
        """Whether nothing is left, nor will come."""
        return self._ended and not self._items

    def each_batch(self, until: Callable[[], Until], write: Callable[[list[T]], None]) -> None:
        """Take items until the end, each time when it is due, an empty batch as well."""
        while not self.ended:
            batch = self._take(until())
            write(batch)
            self._written(batch)

    def _take(self, until: Until) -> list[T]:
        with self._changed:
            self._enough = until.items
            self._changed.wait_for(self._hurries, until.seconds)
            return [self._items.popleft() for _ in range(min(BATCH, len(self._items)))]

    def _hurries(self) -> bool:
        return bool(self._flushes) or self._ended or len(self._items) >= self._enough

    def _written(self, batch: list[T]) -> None:
        with self._changed:
            self._bytes -= sum(item.size for item in batch)
            self._went += len(batch)
            self._began = True
            done = [flush for number, flush in self._flushes if number <= self._went]
            self._flushes = [(n, flush) for n, flush in self._flushes if n > self._went]
        for flush in done:
            if flush.set_running_or_notify_cancel():
                flush.set_result(None)
