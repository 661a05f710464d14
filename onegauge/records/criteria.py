"""The criteria that persons saved for a model, of which the last one holds."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from onegauge.records.database import Database
from onegauge.records.search import storable
from onegauge.records.tables import criteria


@dataclass(frozen=True, kw_only=True)
class SavedCriterion:
    """A threshold or a rate, or neither of them where the settings are to hold again."""

    time: datetime
    model: str
    threshold: float | None
    max_false_alarm_rate: float | None
    by: str | None
    note: str | None


def save_criterion(
    database: Database,
    model: str,
    *,
    threshold: float | None = None,
    max_false_alarm_rate: float | None = None,
    by: str | None,
    note: str | None = None,
) -> SavedCriterion:
    """Have a criterion hold from now on; raises RecordsUnavailable."""
    saved = SavedCriterion(
        time=datetime.now(UTC),
        model=model,
        threshold=threshold,
        max_false_alarm_rate=max_false_alarm_rate,
        by=None if by is None else storable(by),
        note=None if note is None else storable(note),
    )
    with database.writing() as connection:
        connection.execute(criteria.insert(), asdict(saved))
    return saved


def saved_criteria(database: Database, model: str, *, limit: int) -> list[SavedCriterion]:
    """What was saved for a model, the last one first; raises RecordsUnavailable."""
    columns = [column for column in criteria.c if column is not criteria.c.number]
    query = select(*columns).where(criteria.c.model == model)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(criteria.c.number.desc()).limit(limit)).mappings()
        return [SavedCriterion(**row) for row in rows]
