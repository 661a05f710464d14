from datetime import timedelta

from onegauge.records.search import Filter
from onegauge.records.tally import Counts, Scored
from tests.records.made import FIRST, record


def test_counts_are_of_each_line_since_a_time(history):
    records = [
        record(0),
        record(1, decision="anomalous"),
        record(2, decision="anomalous", unknown_product=True),
        record(3, line="mill"),
        record(4, line=None),
    ]
    history.add(records)
    history.judge(records[1].id, "confirmed", by="Ada")
    press = Counts("press", inspected=2, anomalous=2, unknown=1, judged=1)
    mill, none = Counts("mill", 1, 0, 0, 0), Counts(None, 1, 0, 0, 0)
    assert history.tally.counts(FIRST + timedelta(seconds=1)) == [none, mill, press]
    assert history.tally.counts(FIRST, "mill") == [mill]


def test_scores_are_those_of_the_newest(history):
    records = [record(n, score=n / 4) for n in range(4)]
    history.add(records)
    history.judge(records[3].id, "missed", by="Ada")
    newest = Scored(records[3].id, "1", 0.75, 0.5, "normal", "missed")
    assert history.tally.scores(limit=2) == [
        newest,
        Scored(records[2].id, "1", 0.5, 0.5, "normal", None),
    ]
    assert history.tally.scores(Filter(verdict="missed")) == [newest]


def test_a_histogram_counts_tenths_of_each_line(history):
    scores = [-0.5, 0.0, 0.05, 0.1, 0.99, 1.0, 1.95, 2.0, 7.5]
    history.add([record(n, score=score) for n, score in enumerate(scores)])
    history.add([record(20, line="mill", score=0.55), record(21, line=None, score=0.55)])
    press = [3, 1] + [0] * 7 + [1, 1] + [0] * 8 + [1, 2]
    other = [0] * 5 + [1] + [0] * 15
    assert history.tally.histogram(FIRST) == {"press": press, "mill": other, None: other}
    middle = FIRST + timedelta(seconds=20)
    assert history.tally.histogram(FIRST, middle) == {"press": press}
    assert history.tally.histogram(middle) == {"mill": other, None: other}


def test_lines_are_told_once_each(history):
    assert history.tally.lines() == []
    history.add([record(n, line=line) for n, line in enumerate(["b", None, "a", "Ä", "b"])])
    assert history.tally.lines() == ["a", "b", "Ä"]
