from contextlib import contextmanager

import pytest

from onegauge.service.observe.stopwatch import Stopwatch


def test_a_block_is_told_within_its_span():
    told: list[str | float] = []

    @contextmanager
    def span():
        told.append("begun")
        yield
        told.append("ended")

    with Stopwatch(told.append, span()):
        told.append("work")
    *words, seconds = told
    assert words == ["begun", "work", "ended"]
    assert 0 <= seconds < 20


def test_a_block_that_fails_is_not_told():
    told: list[float] = []
    with pytest.raises(ValueError, match="broken"), Stopwatch(told.append):
        raise ValueError("broken")
    assert told == []
