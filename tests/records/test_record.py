"""Ids sort by time, and a record knows how near its score was."""

from datetime import UTC, datetime, timedelta

import pytest

from onegauge.records.record import first_id, new_id
from tests.records.made import record


def test_ids_sort_by_time():
    time = datetime(2026, 11, 30, 12, 0, 0, 1500, tzinfo=UTC)
    ids = [new_id(time + timedelta(milliseconds=n)) for n in range(1000)]
    assert ids == sorted(ids)
    assert {len(name) for name in ids} == {32}
    assert len({new_id(time) for _ in range(1000)}) == 1000


def test_a_millisecond_begins_before_its_ids_and_after_those_before():
    time = datetime(2026, 11, 30, tzinfo=UTC)
    assert new_id(time - timedelta(milliseconds=1)) < first_id(time) < new_id(time)
    assert int(first_id(time), 16) == time.timestamp() * 1000
    assert first_id(datetime(1, 1, 1, tzinfo=UTC)) == "0" * 12


@pytest.mark.parametrize(("threshold", "margin"), [(0.5, 0.25), (0.0, 0.75), (None, 0.25)])
def test_the_margin_is_to_the_threshold_that_decided(threshold, margin):
    assert record(score=0.75, threshold=threshold).margin == margin
