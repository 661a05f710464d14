"""How much there is of records."""

from dataclasses import replace
from datetime import timedelta

from onegauge.records.stats import stats
from onegauge.records.tally import Counts
from tests.records.made import FIRST, record


def test_of_nothing_there_is_nothing(database):
    found = stats(database)
    assert (found.lines, found.oldest, found.newest, found.verdicts, found.pictures) == (
        [],
        None,
        None,
        {},
        0,
    )


def test_everything_is_counted(database, history):
    records = [record(n, line="ab"[n % 2], picture="1" * 64) for n in range(4)]
    history.add([*records[:3], replace(records[3], picture="2" * 64, decision="anomalous")])
    history.judge(records[0].id, "missed", by="Ada")
    history.judge(records[1].id, "missed", by="Ada")
    history.judge(records[2].id, "unclear", by="Ada")
    history.judge(records[2].id, None, by="Ada")
    found = stats(database)
    assert found.lines == [Counts("a", 2, 0, 0, 1), Counts("b", 2, 1, 0, 1)]
    assert (found.oldest, found.newest) == (FIRST, FIRST + timedelta(seconds=3))
    assert (found.verdicts, found.pictures) == ({"missed": 2}, 2)
    assert found.database_bytes > 4096
