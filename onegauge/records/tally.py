"""What inspections add up to: how many of a line there were, and their scores."""

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select

from onegauge.records.database import Database
from onegauge.records.record import Opinion
from onegauge.records.search import ANY, Filter, conditions, ids, using
from onegauge.records.tables import inspections
from onegauge.schemas import Verdict

_C = inspections.c

TENTHS = 20  # of a histogram, from score 0 to 2


@dataclass(frozen=True)
class Counts:
    """How many images of a line were inspected, and what was found."""

    line: str | None
    inspected: int
    anomalous: int
    unknown: int
    judged: int


@dataclass(frozen=True)
class Scored:
    """What histograms and drift need of an inspection."""

    id: str
    version: str
    score: float
    p_value: float
    decision: Verdict
    verdict: Opinion | None


class Tally:
    """Of the inspections in a database; each method raises RecordsUnavailable."""

    def __init__(self, database: Database):
        self._database = database

    def counts(self, since: datetime, line: str | None = None) -> list[Counts]:
        """Of each line, or of one, what there was since then."""
        query = (
            select(
                _C.line,
                func.count().label("inspected"),
                _number(_C.decision == "anomalous").label("anomalous"),
                _number(_C.unknown_product).label("unknown"),
                _number(_C.verdict.is_not(None)).label("judged"),
            )
            .where(*conditions(Filter(since=since, line=line)))
            .group_by(_C.line)
        )
        with self._database.reading() as connection:
            rows = connection.execute(using("newest", query)).mappings()
            found = [Counts(**row) for row in rows]
        return sorted(found, key=lambda counts: counts.line or "")

    def scores(self, which: Filter = ANY, *, limit: int = 10_000) -> list[Scored]:
        """Scores of the newest inspections, with what was decided and said."""
        columns = [_C[field.name] for field in fields(Scored)]
        query = ids(which, "newest").with_only_columns(*columns).limit(limit)
        with self._database.reading() as connection:
            return [Scored(*row) for row in connection.execute(query)]

    def histogram(
        self, since: datetime, until: datetime | None = None
    ) -> dict[str | None, list[int]]:
        """Of each line, how many images had a score in each tenth from 0 to 2, or above."""
        tenth = func.floor(_C.score * 10).label("tenth")
        query = (
            select(_C.line, tenth, func.count())
            .where(*conditions(Filter(since=since, until=until)))
            .group_by(_C.line, tenth)
        )
        found: dict[str | None, list[int]] = {}
        with self._database.reading() as connection:
            for line, number, count in connection.execute(using("newest", query)):
                bins = found.setdefault(line, [0] * (TENTHS + 1))
                bins[min(max(0, int(number)), TENTHS)] += count
        return found

    def lines(self) -> list[str]:
        """All lines that anything was inspected for."""
        # one look into the index for each line instead of one for each inspection
        first = select(func.min(_C.line).label("line")).cte("lines", recursive=True)
        following = select(func.min(_C.line)).where(_C.line > first.c.line).scalar_subquery()
        each = first.union_all(select(following).where(first.c.line.is_not(None)))
        with self._database.reading() as connection:
            found = connection.scalars(select(each.c.line).where(each.c.line.is_not(None)))
            return sorted(found)


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))
