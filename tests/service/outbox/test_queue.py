from dataclasses import dataclass
from threading import Thread

import pytest

from onegauge.service.outbox.queue import BATCH, Queue, Until


@dataclass(frozen=True)
class Item:
    number: int
    size: int = 0


class Reader:
    """Takes what a queue has, in a thread."""

    def __init__(self, queue: Queue[Item], wait_s: float, items: int = BATCH) -> None:
        self.batches: list[list[int]] = []
        self.turns = 0
        self.thread = Thread(
            target=queue.each_batch, args=(lambda: Until(wait_s, items), self.write)
        )
        self.thread.start()

    def write(self, batch: list[Item]) -> None:
        self.turns += 1
        if batch:
            self.batches.append([item.number for item in batch])


@pytest.fixture
def queue():
    queue = Queue(max_rows=1000, max_bytes=100)
    yield queue
    queue.end()


def test_what_is_there_is_written_when_somebody_asks_for_it(queue):
    reader = Reader(queue, wait_s=60)
    for number in range(3):
        assert queue.put(Item(number))
    queue.flush().result(5)
    assert reader.batches == [[0, 1, 2]]
    queue.flush().result(5)  # of nothing


def test_a_flush_ends_only_when_all_before_it_is_written(queue):
    for number in range(2 * BATCH + 1):
        queue.put(Item(number))
    flush = queue.flush()
    reader = Reader(queue, wait_s=60)
    flush.result(5)
    assert [len(batch) for batch in reader.batches] == [BATCH, BATCH, 1]
    assert sum(reader.batches, []) == list(range(2 * BATCH + 1))


def test_many_are_written_before_their_time(queue):
    reader = Reader(queue, wait_s=60)
    for number in range(BATCH):
        queue.put(Item(number))
    while not reader.batches:
        pass
    assert len(reader.batches[0]) == BATCH


def test_who_is_in_a_hurry_gets_the_first_at_once(queue):
    reader = Reader(queue, wait_s=60, items=1)
    while not queue._changed._waiters:  # only who waits already has to be woken
        pass
    queue.put(Item(0))
    while not reader.batches:
        pass
    assert reader.batches == [[0]]
    assert queue.first is None


def test_nobody_is_woken_for_nothing(queue):
    assert not queue.flush().done()  # nobody knows yet whether anything can be written
    reader = Reader(queue, wait_s=60)
    queue.flush().result(5)
    turns = reader.turns
    assert queue.flush().done()
    assert reader.turns == turns


def test_one_who_gave_up_waiting_is_forgotten(queue):
    queue.flush().cancel()
    Reader(queue, wait_s=60)
    queue.flush().result(5)


def test_rows_are_bounded(queue):
    assert all(queue.put(Item(number)) for number in range(1000))
    assert not queue.put(Item(1000))
    Reader(queue, wait_s=0.01)
    queue.flush().result(5)
    assert queue.put(Item(1001))


def test_bytes_are_held_until_they_are_written(queue):
    queue.put(Item(0, 60))
    assert queue.has_room(40)
    assert not queue.has_room(41)
    reader = Reader(queue, wait_s=0.01)
    queue.flush().result(5)
    assert queue.has_room(100)
    assert reader.batches == [[0]]


def test_at_the_end_all_is_written(queue):
    for number in range(BATCH + 1):
        queue.put(Item(number))
    reader = Reader(queue, wait_s=60)
    queue.end()
    reader.thread.join(5)
    assert sum(reader.batches, []) == list(range(BATCH + 1))
