from threading import Event, current_thread

import pytest

from onegauge.service.outbox.apart import Apart, Late


def test_a_task_is_done_beside_and_tells_what_it_comes_to():
    apart = Apart("database")
    names = {apart.run(lambda: current_thread().name, 5) for _ in range(2)}
    assert names == {"database"}
    with pytest.raises(ZeroDivisionError):
        apart.run(lambda: 1 / 0, 5)
    assert apart.run(lambda: 7, 5) == 7


def test_what_does_not_end_is_given_up_and_nothing_begun_until_it_has():
    apart, go_on = Apart("database"), Event()
    with pytest.raises(Late, match=r"database has not answered within 0\.1 s"):
        apart.run(lambda: go_on.wait(10), 0.1)
    done = []
    with pytest.raises(Late, match="asked before"):
        apart.begin(lambda: done.append(1))
    assert done == []
    last = apart._last
    go_on.set()
    last.result(5)
    assert apart.run(lambda: 7, 5) == 7
