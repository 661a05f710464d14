"""What leaves after a time or for want of space: pictures first, rows later, the oldest first.

What a person has said something of never leaves, neither its row nor its picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, select, update

from onegauge.records.database import Database
from onegauge.records.pictures import Pictures
from onegauge.records.record import first_id
from onegauge.records.tables import inspections, judgements, lessons, masks, parts, small_maps
from onegauge.records.views import unfold

Change: TypeAlias = Callable[[Connection, list[str]], int]  # of rows; how many it removed

CENTURIES = 365_000  # days, beyond which there is no calendar
BATCH = 200  # inspections of one transaction: a gateway that writes waits no longer than for these

_C = inspections.c
_KEPT = _C.picture.is_not(None)
_UNMARKED = (
    _C.verdict.is_(None),
    ~exists().where(judgements.c.inspection == _C.id),
    ~exists().where(lessons.c.inspection == _C.id),
)


@dataclass(frozen=True)
class Limits:
    """How long pictures and rows stay, and how many bytes of pictures; None is no limit."""

    pictures_days: float | None = None
    pictures_bytes: int | None = None
    records_days: float | None = None
    strays_days: float | None = None  # pictures that no inspection has


@dataclass(frozen=True)
class Pruned:
    """What has left, and how many bytes that were."""

    pictures: int = 0
    bytes: int = 0
    rows: int = 0


def prune(
    database: Database, pictures: Pictures | None, limits: Limits, now: datetime | None = None
) -> Pruned:
    """Let what is beyond the limits leave; nothing, while another process does so.

    Without `pictures`, inspections that have one stay. Raises RecordsUnavailable; what has left
    until then has left.
    """
    with database.alone() as alone:
        if not alone:
            return Pruned()
        return _Pruning(database, pictures).run(limits, now or datetime.now(UTC))


class _Pruning:
    def __init__(self, database: Database, pictures: Pictures | None):
        self._database = database
        self._pictures = pictures
        self._gone = self._freed = self._rows = 0

    def run(self, limits: Limits, now: datetime) -> Pruned:
        if limits.records_days is not None:
            old = _C.id < _day(now, limits.records_days)
            self._drop(old if self._pictures else and_(old, ~_KEPT), _delete)
            self._drop_parts(_day(now, limits.records_days))
        if self._pictures and limits.pictures_days is not None:
            old = _C.id < _day(now, limits.pictures_days)
            self._drop(and_(_KEPT, old), _forget_pictures)
        if self._pictures and limits.pictures_bytes is not None:
            excess = self._pictures.size() - limits.pictures_bytes
            # one by one, so that no more leave than must
            self._drop(_KEPT, _forget_pictures, excess=excess, batch=1)
        if self._pictures and limits.strays_days is not None:
            strays = sorted(self._pictures.before(_ago(now, limits.strays_days)))
            for first in range(0, len(strays), BATCH):
                self._remove(self._pictures, set(strays[first : first + BATCH]))
        return Pruned(self._gone, self._freed, self._rows)

    def _drop(
        self,
        which: ColumnElement[bool],
        change: Change,
        *,
        excess: float = float("inf"),
        batch: int = BATCH,
    ) -> None:
        """Change inspections that nobody marked, the oldest first, until `excess` bytes are free.

        Files leave after the rows that tell of them: where the first fails the second stays whole.
        """
        enough, last, size = self._freed + excess, "", batch
        while size == batch and self._freed < enough:
            oldest = select(_C.id, _C.picture).where(which, _C.id > last, *_UNMARKED)
            # PostgreSQL: what somebody marks at this moment is passed over
            chosen = oldest.order_by(_C.id).limit(batch).with_for_update(skip_locked=True)
            with self._database.writing() as connection:
                found = {row.id: row.picture for row in connection.execute(chosen)}
                self._rows += change(connection, list(found))
            if self._pictures:
                self._remove(self._pictures, {d for d in found.values() if d is not None})
            size, last = len(found), max(found, default=last)

    def _drop_parts(self, before: str) -> None:
        """Decisions of parts of which no picture is left, the oldest first."""
        alone = ~exists().where(_C.part == parts.c.part)
        oldest = select(parts.c.id).where(parts.c.id < before, alone).order_by(parts.c.id)
        size = BATCH
        while size == BATCH:
            with self._database.writing() as connection:
                found = connection.scalars(oldest.limit(BATCH)).all()
                connection.execute(delete(parts).where(parts.c.id.in_(found)))
            size = len(found)

    def _remove(self, pictures: Pictures, digests: set[str]) -> None:
        """Files of pictures, but only of those that no inspection has."""
        with self._database.reading() as connection:
            had = connection.scalars(select(_C.picture).where(_C.picture.in_(digests)))
            alone = digests.difference(had)
        for digest in alone:
            self._freed += pictures.remove(digest)
        self._gone += len(alone)


def _delete(connection: Connection, ids: list[str]) -> int:
    _delete_maps(connection, ids)
    unfold(connection, ids)
    connection.execute(delete(inspections).where(_C.id.in_(ids)))
    return len(ids)


def _forget_pictures(connection: Connection, ids: list[str]) -> int:
    _delete_maps(connection, ids)
    forgotten = update(inspections).where(_C.id.in_(ids))
    connection.execute(forgotten.values(picture=None, preview=False))
    return 0


def _delete_maps(connection: Connection, ids: list[str]) -> None:
    for table in (small_maps, masks):
        connection.execute(delete(table).where(table.c.inspection.in_(ids)))


def _day(now: datetime, days: float) -> str:
    return first_id(_ago(now, days))


def _ago(now: datetime, days: float) -> datetime:
    return now - timedelta(days=min(days, CENTURIES))
