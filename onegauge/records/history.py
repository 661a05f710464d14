"""Finds inspections in the database, and takes what persons say of them."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from onegauge.records.database import Database
from onegauge.records.errors import InvalidCursor, UnknownInspection
from onegauge.records.record import Judgement, Opinion, Record, first_id
from onegauge.records.tables import inspections, judgements
from onegauge.schemas import Verdict

Order: TypeAlias = Literal["newest", "nearest"]

_C = inspections.c
_RECORD = [_C[field.name] for field in fields(Record)]
_TEXTS = ("request_id", "line", "part", "filename", "key", "media_type")
_ID = re.compile("[0-9a-f]{32}")
_LONGEST_CURSOR = 200


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which inspections are meant: those that all of it holds for; None is any.

    `since` is inclusive and `until` exclusive, both to the millisecond; scores are inclusive. The
    verdict "none" stands for inspections without one. `kept` ones have a picture.
    """

    since: datetime | None = None
    until: datetime | None = None
    line: str | None = None
    part: str | None = None
    decision: Verdict | None = None
    verdict: Opinion | Literal["none"] | None = None
    min_score: float | None = None
    max_score: float | None = None
    model: str | None = None
    version: str | None = None
    unknown: bool | None = None
    kept: bool | None = None


ANY = Filter()


@dataclass(frozen=True)
class Found:
    """An inspection and the verdict that stands."""

    record: Record
    verdict: Opinion | None


@dataclass(frozen=True)
class Page:
    """Some inspections, and the cursor of those after them, if there are any."""

    found: list[Found]
    next: str | None


@dataclass(frozen=True)
class Entry:
    """An inspection and all that was said of it, the oldest first."""

    record: Record
    judgements: list[Judgement]

    @property
    def verdict(self) -> Opinion | None:
        """The one that stands."""
        return self.judgements[-1].verdict if self.judgements else None


@dataclass(frozen=True)
class Around:
    """Ids of the inspections before and after one, in the order of a list."""

    previous: str | None
    next: str | None


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
    """What a histogram needs of an inspection."""

    id: str
    score: float
    decision: Verdict
    verdict: Opinion | None


class History:
    """The inspections in a database; each method raises RecordsUnavailable."""

    def __init__(self, database: Database):
        self._database = database

    def add(self, records: Sequence[Record]) -> None:
        """Write inspections, but not again those that are there already."""
        if records:
            with self._database.writing() as connection:
                connection.execute(_insert(connection), [_row(record) for record in records])

    def find(
        self,
        which: Filter = ANY,
        *,
        order: Order = "newest",
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """A page of inspections: the newest first, or those nearest to their threshold first.

        Raises InvalidCursor where `after` is not the `next` of a page in the same order.
        """
        beyond = () if after is None else (_beyond(order, _key_of(after, order)),)
        query = (
            select(*_RECORD, _C.verdict)
            .where(*_conditions(which), *beyond)
            .order_by(*_ordered(order))
            .limit(limit + 1)
        )
        with self._database.reading() as connection:
            found = [_found(row._mapping) for row in connection.execute(query)]
        more = len(found) > limit
        return Page(found[:limit], _cursor(found[limit - 1].record, order) if more else None)

    def get(self, inspection: str) -> Entry:
        """An inspection and what was said of it; raises UnknownInspection."""
        said = select(judgements).where(judgements.c.inspection == inspection)
        with self._database.reading() as connection:
            record = _one(connection, inspection)
            rows = connection.execute(said.order_by(judgements.c.number)).mappings().all()
        return Entry(record, [_judgement(row) for row in rows])

    def around(self, inspection: str, which: Filter = ANY, *, order: Order = "newest") -> Around:
        """The inspections beside one, which need not be in the list; raises UnknownInspection."""
        with self._database.reading() as connection:
            record = _one(connection, inspection)
            ids = [
                connection.scalar(
                    select(_C.id)
                    .where(*_conditions(which), _beyond(order, _key(record, order), back=back))
                    .order_by(*_ordered(order, back=back))
                    .limit(1)
                )
                for back in (True, False)
            ]
        return Around(*ids)

    def judge(
        self, inspection: str, verdict: Opinion | None, *, by: str | None, note: str | None = None
    ) -> Judgement:
        """Say something of an inspection, or None to take it back; raises UnknownInspection."""
        (judgement,) = self.judge_many([inspection], verdict, by=by, note=note)
        return judgement

    def judge_many(
        self,
        ids: Sequence[str],
        verdict: Opinion | None,
        *,
        by: str | None,
        note: str | None = None,
    ) -> list[Judgement]:
        """Say the same of several inspections, or of none where one is unknown.

        Raises UnknownInspection.
        """
        time = datetime.now(UTC)
        made = [Judgement(inspection, time, verdict, by, note) for inspection in ids]
        with self._database.writing() as connection:
            for judgement in made:
                _say(connection, judgement)
        return made

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
            .where(*_conditions(Filter(since=since, line=line)))
            .group_by(_C.line)
        )
        with self._database.reading() as connection:
            found = [Counts(**row) for row in connection.execute(query).mappings()]
        return sorted(found, key=lambda counts: counts.line or "")

    def scores(self, which: Filter = ANY, *, limit: int = 10_000) -> list[Scored]:
        """Scores of the newest inspections, with what was decided and said."""
        query = select(_C.id, _C.score, _C.decision, _C.verdict).where(*_conditions(which))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(_C.id.desc()).limit(limit)).mappings()
            return [Scored(**row) for row in rows]

    def lines(self) -> list[str]:
        """All lines that anything was inspected for."""
        # one look into the index for each line instead of one for each inspection
        first = select(func.min(_C.line).label("line")).cte("lines", recursive=True)
        following = select(func.min(_C.line)).where(_C.line > first.c.line).scalar_subquery()
        each = first.union_all(select(following).where(first.c.line.is_not(None)))
        with self._database.reading() as connection:
            found = connection.scalars(select(each.c.line).where(each.c.line.is_not(None)))
            return sorted(found)

    def every(self, which: Filter = ANY, *, batch: int = 1000) -> Iterator[Found]:
        """All inspections of a kind, the newest first, without holding them all."""
        after = None
        while True:
            page = self.find(which, after=after, limit=batch)
            yield from page.found
            if (after := page.next) is None:
                return


def _insert(connection: Connection) -> Any:
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return make(inspections).on_conflict_do_nothing(index_elements=["id"])


def _row(record: Record) -> dict[str, Any]:
    row = {**asdict(record), "margin": record.margin}
    for name in _TEXTS:
        row[name] = None if row[name] is None else _storable(row[name])
    return row


def _storable(text: str) -> str:
    """A text without what no database takes: a file may have any name."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _found(row: Any) -> Found:
    values = dict(row)
    verdict = values.pop("verdict")
    return Found(Record(**values), verdict)


def _judgement(row: Any) -> Judgement:
    return Judgement(**{field.name: row[field.name] for field in fields(Judgement)})


def _one(connection: Connection, inspection: str) -> Record:
    if _ID.fullmatch(inspection):
        row = connection.execute(select(*_RECORD).where(_C.id == inspection)).mappings().first()
        if row is not None:
            return Record(**row)
    raise UnknownInspection(f"there is no inspection {inspection!r}")


def _say(connection: Connection, judgement: Judgement) -> None:
    _one(connection, judgement.inspection)
    named = update(inspections).where(_C.id == judgement.inspection)
    connection.execute(named.values(verdict=judgement.verdict))
    connection.execute(judgements.insert(), asdict(judgement))


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _conditions(which: Filter) -> list[ColumnElement[bool]]:
    equal = {
        _C.line: which.line,
        _C.part: which.part,
        _C.decision: which.decision,
        _C.model: which.model,
        _C.version: which.version,
        _C.unknown_product: which.unknown,
    }
    conditions = [
        column == (_storable(value) if isinstance(value, str) else value)
        for column, value in equal.items()
        if value is not None
    ]
    if which.since is not None:
        conditions.append(_C.id >= first_id(which.since))
    if which.until is not None:
        conditions.append(_C.id < first_id(which.until))
    if which.verdict is not None:
        none = which.verdict == "none"
        conditions.append(_C.verdict.is_(None) if none else _C.verdict == which.verdict)
    if which.min_score is not None:
        conditions.append(_C.score >= which.min_score)
    if which.max_score is not None:
        conditions.append(_C.score <= which.max_score)
    if which.kept is not None:
        conditions.append(_C.picture.is_not(None) if which.kept else _C.picture.is_(None))
    return conditions


def _ordered(order: Order, *, back: bool = False) -> list[ColumnElement[Any]]:
    ascending = (order == "nearest") != back
    columns: list[Any] = [_C.margin, _C.id] if order == "nearest" else [_C.id]
    return [column.asc() if ascending else column.desc() for column in columns]


def _key(record: Record, order: Order) -> tuple[Any, ...]:
    return (record.margin, record.id) if order == "nearest" else (record.id,)


def _beyond(order: Order, key: tuple[Any, ...], *, back: bool = False) -> ColumnElement[bool]:
    """What comes after a key in an order, or before it."""
    inspection: str = key[-1]
    further = _C.id > inspection if (order == "nearest") != back else _C.id < inspection
    if order == "newest":
        return further
    margin: float = key[0]
    if back:
        return and_(_C.margin <= margin, or_(_C.margin < margin, further))
    return and_(_C.margin >= margin, or_(_C.margin > margin, further))


def _cursor(record: Record, order: Order) -> str:
    text = json.dumps([order, *_key(record, order)])
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _key_of(cursor: str, order: Order) -> tuple[Any, ...]:
    """What a cursor stands for; raises InvalidCursor."""
    cursor = cursor[:_LONGEST_CURSOR]
    try:
        made_for, *key = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as exc:
        raise InvalidCursor(f"{cursor!r} is no cursor of a page") from exc
    kinds = [float, str] if order == "nearest" else [str]
    if made_for != order or [type(value) for value in key] != kinds or not _ID.fullmatch(key[-1]):
        raise InvalidCursor(f"{cursor!r} is no cursor of a page with the {order} first")
    return tuple(key)
