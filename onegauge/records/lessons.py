"""Which images teach a gauge something: what persons say that they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, exists, select

from onegauge.records.database import Database, insert
from onegauge.records.history import RECORD
from onegauge.records.record import Record
from onegauge.records.search import Filter, conditions, storable, using
from onegauge.records.tables import UNDER_WAY, inspections, lessons, proposals, taught

# normal: of a known product, as a false alarm is; the last two teach nothing
Kind: TypeAlias = Literal["normal", "new_product", "known_product", "foreign_object", "discarded"]

TEACHING = ("normal", "new_product", "known_product")
LEARNT = (*UNDER_WAY, "served")  # states of proposals whose images wait no longer
MOST = 500  # images of a list, the newest
RECENT = timedelta(days=30)  # how long unknown products wait for somebody

_C = inspections.c


@dataclass(frozen=True)
class Lesson:
    """An image that is to be learnt as normal; `by` nobody where a false alarm was marked."""

    record: Record
    kind: Kind
    product: str | None = None
    by: str | None = None


class Lessons:
    """The lessons in a database; each method raises RecordsUnavailable."""

    def __init__(self, database: Database):
        self._database = database

    def unknown(self, model: str, now: datetime | None = None) -> list[Record]:
        """Images of unknown products that nobody has said anything of, the newest first."""
        since = (now or datetime.now(UTC)) - RECENT
        which = Filter(
            since=since, model=model, unknown=True, verdict="none", kept=True, decided=False
        )
        query = select(*RECORD).where(*conditions(which))
        with self._database.reading() as connection:
            rows = connection.execute(
                using("unknown", query.order_by(_C.id.desc()).limit(MOST))
            ).mappings()
            return [Record(**row) for row in rows]

    def decide(
        self, inspected: Sequence[str], kind: Kind, *, by: str | None, product: str | None = None
    ) -> None:
        """Say what images are, in the place of what was said before.

        Images that there are not are passed over.
        """
        said = {
            "kind": kind,
            "product": product and storable(product),
            "by": by and storable(by),
            "time": datetime.now(UTC),
        }
        with self._database.writing() as connection:
            known = connection.scalars(select(_C.id).where(_C.id.in_(inspected))).all()
            connection.execute(lessons.delete().where(lessons.c.inspection.in_(known)))
            if known:
                rows = [{"inspection": inspection, **said} for inspection in known]
                connection.execute(insert(connection, lessons, "inspection"), rows)

    def open(self, model: str) -> list[Lesson]:
        """What waits to be learnt, the newest first: lessons, and false alarms that were marked."""
        false_alarms = using("verdict", self._open(model, verdict="false_alarm", decided=False))
        said = (
            self._open(model)
            .add_columns(lessons.c.kind, lessons.c.product, lessons.c.by)
            .join_from(lessons, inspections, lessons.c.inspection == _C.id)
            .where(lessons.c.kind.in_(TEACHING))
        )
        with self._database.reading() as connection:
            found = [_lesson(dict(row)) for row in connection.execute(said).mappings()]
            rows = connection.execute(false_alarms).mappings()
            found += [Lesson(Record(**row), "normal") for row in rows]
        return sorted(found, key=lambda lesson: lesson.record.id, reverse=True)[:MOST]

    def of(self, proposal: int) -> list[Record]:
        """The images that a proposal is made of, the newest first."""
        query = select(*RECORD).join_from(taught, inspections, taught.c.inspection == _C.id)
        ordered = query.where(taught.c.proposal == proposal).order_by(_C.id.desc())
        with self._database.reading() as connection:
            return [Record(**row) for row in connection.execute(ordered).mappings()]

    def _open(self, model: str, **fields: Any) -> Any:
        """Images with a picture that no proposal has learnt or is about to learn."""
        return (
            select(*RECORD)
            .where(*conditions(Filter(model=model, kept=True, **fields)), ~_learnt())
            .order_by(_C.id.desc())
            .limit(MOST)
        )


def _learnt() -> ColumnElement[bool]:
    return exists().where(
        taught.c.inspection == _C.id,
        taught.c.proposal == proposals.c.number,
        proposals.c.state.in_(LEARNT),
    )


def _lesson(row: dict[str, Any]) -> Lesson:
    said = {name: row.pop(name) for name in ("kind", "product", "by")}
    return Lesson(Record(**row), **said)
