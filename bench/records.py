"""What is asked of a million inspections, on SQLite and on PostgreSQL: the median of five times.

    python -m bench.records

Two months of four lines in a temporary folder: one in forty images is anomalous, one in four of
those was judged, one line inspects parts of three views, and at the end a fifth line has inspected
a few. PostgreSQL has the statistics that its autovacuum makes within a minute of such a fill. At
the end a gateway makes its pages of them. Each is asked for once before it counts.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import typer
from httpx import Client

from bench.support.figures import keep
from bench.support.servers import Served, server
from onegauge.records.database import Database
from onegauge.records.history import History
from onegauge.records.record import Part, Record, new_id
from onegauge.records.search import Filter
from rig.postgresql import postgresql

END = datetime.now(UTC)
BEGIN = END - timedelta(days=60)
LINES = ("mill", "paint", "press", "saw")
OF_PARTS, VIEWS = "press", 3  # the line whose parts have several views
OPINIONS = ("confirmed", "confirmed", "false_alarm", "unclear")
MAP_BYTES = 2300
BATCH = 1000
TIMES = 5
WITHIN_S = 60
PAGES = (
    "",
    "?line=press&decision=anomalous&verdict=none",
    "?order=nearest&line=press&decision=anomalous&verdict=none",
    "?min_score=9",
    "?order=nearest&min_score=9",
    "?part_decision=incomplete",
    "/lines",
    "/threshold",
    "/threshold?number=10000",
    "/unknown",
    "/teach",
    "/references?by=suspicion",
)


def main(
    rows: int = 1_000_000,
    database: Annotated[list[str] | None, typer.Option(help="sqlite, postgresql")] = None,
) -> None:
    """Fill each database, ask it, print and keep the milliseconds."""
    for name in database or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory() as folder, reached(name, Path(folder)) as url:
            database = Database.open(url)
            history = History(database)
            figures = {"rows a second": fill(history, rows)}
            if name == "postgresql":
                vacuum(database)
            figures |= answered(history) | shown(url, Path(folder))
            database.close()
        for question, figure in figures.items():
            sys.stdout.write(f"{name:10}  {figure:8.1f}  {question}\n")
        keep(f"{rows} records in {name}, ms", figures)


@contextmanager
def reached(name: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if name == "postgresql":
        with postgresql() as server:
            yield server.new_database()
    else:
        yield f"sqlite:///{folder}/records.db"


def fill(history: History, rows: int) -> float:
    """Write the records, and a verdict on some; the rows that were written in a second."""
    chance = random.Random(0)
    writing = 0.0
    for first in range(0, rows, BATCH):
        step = (END - BEGIN) / rows
        batch = [made(chance, BEGIN + n * step) for n in range(first, min(first + BATCH, rows))]
        batch, parts = in_parts(batch)
        started = perf_counter()
        history.add(
            [*batch, *parts], {one.id: chance.randbytes(MAP_BYTES) for one in batch if one.picture}
        )
        writing += perf_counter() - started
        flagged = [one.id for one in batch if one.decision == "anomalous"]
        for opinion in OPINIONS:
            for judged in (one for one in flagged if chance.random() < 1 / 16):
                history.judge(judged, opinion, by="Ada")
    history.add([made(chance, END, "new") for _ in range(20)])
    return rows / writing


def in_parts(batch: list[Record]) -> tuple[list[Record], list[Part]]:
    """The inspections, those of one line as views of parts, and what was decided on these."""
    found = [one for one in batch if one.line == OF_PARTS]
    views, parts = {}, []
    for first in range(0, len(found), VIEWS):
        group = [replace(one, part=found[first].part) for one in found[first : first + VIEWS]]
        views |= {one.id: one for one in group}
        parts.append(decided(group))
    return [views.get(one.id, one) for one in batch], parts


def decided(views: list[Record]) -> Part:
    """The decision of a part by its views."""
    last = views[-1]
    return Part(
        id=new_id(last.time + timedelta(milliseconds=1)),
        time=last.time,
        line=last.line,
        part=str(last.part),
        views=len(views),
        decision="anomalous" if any(one.decision == "anomalous" for one in views) else "normal",
        score=max(one.score for one in views),
        unknown_product=any(one.unknown_product for one in views),
        inspections=[one.id for one in views],
    )


def vacuum(database: Database) -> None:
    """Have PostgreSQL do what it does by itself, in two months and not in two minutes."""
    with database.reading() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("VACUUM (ANALYZE)")
        connection.exec_driver_sql("CHECKPOINT")  # else it writes for minutes beside the questions


def made(chance: random.Random, time: datetime, line: str | None = None) -> Record:
    """An inspection, with as much to say of it as a gateway has."""
    anomalous = chance.random() < 1 / 40
    score = chance.uniform(1, 3) if anomalous else min(0.99, chance.gauss(0.6, 0.15))
    region = {"box": [412, 96, 34, 28], "area": 624, "peak": 1.91, "mean": 1.4, "contours": []}
    stages = ("decode", "queue", "inference", "postprocess", "total")
    return Record(
        id=new_id(time),
        time=time,
        request_id=f"{chance.getrandbits(128):032x}",
        line=line or chance.choice(LINES),
        part=f"A-{chance.randrange(10**6):06d}",
        filename=f"camera-1/{time:%Y%m%d-%H%M%S-%f}.jpg",
        model="onegauge",
        version=str(1 + (time - BEGIN).days // 20),
        model_digest="5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        decision="anomalous" if anomalous else "normal",
        unknown_product=chance.random() < 1 / 1000,
        score=score,
        threshold=1.0,
        max_false_alarm_rate=None,
        p_value=chance.random(),
        novelty=chance.random(),
        raw_score=score * 7,
        normal_location=2.0,
        normal_scale=0.5,
        regions=[region, region] if anomalous else [],
        references=[],
        timing_ms={stage: round(chance.uniform(1, 9), 3) for stage in stages},
        key="line-pc",
        width=1600,
        height=1200,
        picture=f"{chance.getrandbits(256):064x}" if anomalous else None,
        media_type="image/jpeg" if anomalous else None,
        preview=anomalous,
    )


def answered(history: History) -> dict[str, float]:
    """The median milliseconds of each question."""
    day = END - timedelta(days=1)
    middle = BEGIN + (END - BEGIN) / 2
    some = history.find(Filter(until=middle, decision="anomalous")).found[25].record
    near = history.find(order="nearest", limit=1000).next
    which = {
        "all": Filter(),
        "of a day long ago": Filter(since=middle, until=middle + timedelta(days=1)),
        "of a line": Filter(line="press"),
        "of a line with few": Filter(line="new"),
        "of a line that is none": Filter(line="none"),
        "of a part": Filter(part=some.part),
        "anomalous": Filter(decision="anomalous"),
        "anomalous, of a line, not judged": Filter(
            decision="anomalous", line="press", verdict="none"
        ),
        "anomalous of a line with few": Filter(decision="anomalous", line="new"),
        "not judged": Filter(verdict="none"),
        "false alarms": Filter(verdict="false_alarm"),
        "false alarms of a line": Filter(verdict="false_alarm", line="press"),
        "missed, of which there are none": Filter(verdict="missed"),
        "unknown": Filter(unknown=True),
        "unknown, of a line with few": Filter(unknown=True, line="new"),
        "of a score": Filter(min_score=0.9, max_score=1.1),
        "of a rare score": Filter(min_score=2.9999),
        "of a score that is none": Filter(min_score=9),
        "of a score, of a line": Filter(min_score=2.99, line="press"),
        "of a version long ago": Filter(model="onegauge", version="1"),
        "of a version that is none": Filter(version="9"),
        "kept": Filter(kept=True),
        "each part once": Filter(folded=False),
        "each part once, of a line": Filter(folded=False, line=OF_PARTS),
        "each part once, anomalous, of a line, not judged": Filter(
            folded=False, decision="anomalous", line=OF_PARTS, verdict="none"
        ),
        "of anomalous parts": Filter(part_decision="anomalous"),
        "of incomplete parts, of which there are none": Filter(part_decision="incomplete"),
        "of the last day": Filter(since=day),
        "of the last day, of a line": Filter(since=day, line="press"),
        "anomalous of the last hour": Filter(
            since=END - timedelta(hours=1), decision="anomalous", line="press"
        ),
    }
    questions: dict[str, Callable[[], object]] = {}
    for order in ("newest", "nearest"):
        for name, filter_ in which.items():
            questions[f"{order}, {name}"] = lambda o=order, f=filter_: history.find(f, order=o)
    beside = Filter(decision="anomalous", line="press")
    rare = Filter(decision="anomalous", line="new")
    questions |= {
        "nearest, after a thousand": lambda: history.find(order="nearest", after=near),
        "beside one": lambda: history.around(some.id, Filter()),
        "beside one, newest": lambda: history.around(some.id, beside),
        "beside one, nearest": lambda: history.around(some.id, beside, order="nearest"),
        "beside one, newest, of a line with few": lambda: history.around(some.id, rare),
        "one": lambda: history.get(some.id),
        "counts of the last day": lambda: history.tally.counts(day),
        "counts of the last day of a line": lambda: history.tally.counts(day, "press"),
        "scores of 10,000": lambda: history.tally.scores(Filter(line="press")),
        "lines": history.tally.lines,
        "a verdict": lambda: history.judge(some.id, "confirmed", by="Ada"),
    }
    return {question: milliseconds(ask) for question, ask in questions.items()}


def shown(database: str, folder: Path) -> dict[str, float]:
    """The median milliseconds of each page, with the way to it and back."""
    places = {f"ONEGAUGE_{name}": f"{folder}/{name}" for name in ("PICTURES", "RECORDS_SPOOL")}
    kept = {"ONEGAUGE_RECORDS": database, **places}
    with server("onegauge", Served(), **kept) as gateway, Client(timeout=WITHIN_S) as browser:

        def ask(page: str) -> None:
            browser.get(f"{gateway.url}/review{page}").raise_for_status()

        return {f"page /review{page}": milliseconds(partial(ask, page)) for page in PAGES}


def milliseconds(ask: Callable[[], object]) -> float:
    """The median of some times, after one that does not count."""
    ask()
    took = []
    for _ in range(TIMES):
        started = perf_counter()
        ask()
        took.append(perf_counter() - started)
    return round(1000 * median(took), 1)


if __name__ == "__main__":
    typer.run(main)
