import threading
from collections.abc import Iterator

import pytest
import torch

from onegauge.training.workers import AHEAD, Here


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_chunks_are_computed_at_once_and_given_back_in_their_order():
    met = threading.Barrier(2, timeout=60)

    def slow_first(chunk: int) -> int:
        if chunk < 2:
            met.wait()  # passed by two at once alone
        return chunk * chunk

    assert list(Here().map(slow_first, range(9))) == [n * n for n in range(9)]


@pytest.mark.usefixtures("two_threads")
def test_each_chunk_is_computed_on_one_core_and_without_gradients():
    found = list(Here().map(lambda _: (torch.get_num_threads(), torch.is_grad_enabled()), range(4)))
    assert found == [(1, False)] * 4
    assert torch.get_num_threads() == 2
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]


@pytest.mark.usefixtures("two_threads")
def test_few_chunks_are_taken_ahead_of_what_is_asked_for():
    taken: list[int] = []

    def chunks() -> Iterator[int]:
        for chunk in range(100):
            taken.append(chunk)
            yield chunk

    found = Here().map(lambda chunk: chunk, chunks())
    assert [next(found), next(found)] == [0, 1]
    assert len(taken) <= 2 + AHEAD * 2
    found.close()


def test_the_first_error_is_raised_and_ends_the_work():
    done: list[int] = []

    def odd_one(chunk: int) -> int:
        if chunk == 3:
            raise ValueError("chunk 3 is odd")
        done.append(chunk)
        return chunk

    found = Here().map(odd_one, range(100))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="chunk 3 is odd"):
        next(found)
    assert max(done) < 20
