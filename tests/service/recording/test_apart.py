from threading import Event, current_thread

import pytest

from onegauge.records.errors import RecordsUnavailable
from onegauge.service.recording.apart import Apart


def test_a_task_is_done_beside_and_tells_what_it_comes_to():
    apart = Apart("database", 5)
    names = {apart.run(lambda: current_thread().name) for _ in range(2)}
    assert names == {"records-database"}
    with pytest.raises(ZeroDivisionError):
        apart.run(lambda: 1 / 0)
    assert apart.run(lambda: 7) == 7


def test_what_does_not_end_is_given_up_and_nothing_begun_until_it_has():
    apart, go_on = Apart("database", 0.1), Event()
    with pytest.raises(RecordsUnavailable, match=r"within 0\.1 s"):
        apart.run(lambda: go_on.wait(10))
    done = []
    with pytest.raises(RecordsUnavailable, match="asked before"):
        apart.run(lambda: done.append(1))
    assert done == []
    last = apart._last
    go_on.set()
    last.result(5)
    assert apart.run(lambda: 7) == 7
