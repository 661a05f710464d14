"""How much there is of records."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select

from onegauge.records.database import Database
from onegauge.records.tables import inspections
from onegauge.records.tally import Counts, Tally

_C = inspections.c
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_SIZES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    "postgresql": "SELECT pg_database_size(current_database())",
}


@dataclass(frozen=True)
class Stats:
    """Inspections of each line, when they were, how many have which verdict, and their bytes."""

    lines: list[Counts]
    oldest: datetime | None
    newest: datetime | None
    verdicts: dict[str, int]
    pictures: int
    database_bytes: int


def stats(database: Database) -> Stats:
    """Count everything; raises RecordsUnavailable."""
    judged = select(_C.verdict, func.count()).where(_C.verdict.is_not(None)).group_by(_C.verdict)
    with database.reading() as connection:
        oldest, newest = (
            connection.scalar(select(_C.time).order_by(order).limit(1))
            for order in (_C.id, _C.id.desc())
        )
        verdicts = {str(verdict): int(count) for verdict, count in connection.execute(judged)}
        kept = connection.scalar(select(func.count(_C.picture.distinct())))
        size = connection.exec_driver_sql(_SIZES[connection.dialect.name]).scalar_one()
    lines = Tally(database).counts(_EVER)
    return Stats(lines, oldest, newest, verdicts, int(kept or 0), int(size))
