"""Criteria that persons save, on SQLite and PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from onegauge.records.criteria import save_criterion, saved_criteria


def test_what_was_saved_is_kept_for_each_model_the_last_first(database):
    before = datetime.now(UTC)
    save_criterion(database, "press", threshold=1.1, by="ann", note="dust\0")
    save_criterion(database, "press", max_false_alarm_rate=0.012345678901, by="bob")
    save_criterion(database, "oven", threshold=0.9, by="cy")
    last = save_criterion(database, "press", by=None)
    found = saved_criteria(database, "press", limit=9)
    assert found[0] == last
    told = [(c.threshold, c.max_false_alarm_rate, c.by, c.note) for c in found]
    assert told == [
        (None, None, None, None),
        (None, 0.012345678901, "bob", None),
        (1.1, None, "ann", "dust\ufffd"),
    ]
    assert found == saved_criteria(database, "press", limit=3)
    assert found[:1] == saved_criteria(database, "press", limit=1)
    assert before - timedelta(milliseconds=1) <= found[-1].time <= datetime.now(UTC)
    assert saved_criteria(database, "lid", limit=9) == []


@pytest.mark.parametrize("threshold", [-1e300, 0.1 + 0.2, 1e-300])
def test_a_threshold_comes_back_as_it_was(database, threshold):
    save_criterion(database, "press", threshold=threshold, by="ann")
    assert saved_criteria(database, "press", limit=1)[0].threshold == threshold
