"""Which inspections are looked for, in which order, and the place of one in that."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVarTuple

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select

from onegauge.records.errors import InvalidCursor
from onegauge.records.record import Opinion, Record, first_id
from onegauge.records.tables import inspections, lessons
from onegauge.schemas import NO_LINE, PartWord, Verdict

Order: TypeAlias = Literal["newest", "nearest"]
Columns = TypeVarTuple("Columns")
Key: TypeAlias = tuple[Any, ...]  # what an order goes by

_C = inspections.c
_ID = re.compile("[0-9a-f]{32}")
_LONGEST_CURSOR = 200


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which inspections are meant: those that all of it holds for; None is any.

    `since` is inclusive and `until` exclusive, both to the millisecond; scores are inclusive. The
    verdict "none" and the line "-" stand for inspections without one. The `part_decision` is that
    on all views of its part, of which a worse one stands for each that is `folded`. `kept` ones
    have a picture; of `decided` ones somebody has said what they teach.
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
    part_decision: PartWord | None = None
    folded: bool | None = None
    kept: bool | None = None
    decided: bool | None = None


ANY = Filter()


def conditions(which: Filter) -> list[ColumnElement[bool]]:
    """What holds for the rows that are looked for."""
    equal = {
        _C.part: which.part,
        _C.decision: which.decision,
        _C.model: which.model,
        _C.version: which.version,
        _C.unknown_product: which.unknown,
        _C.part_decision: which.part_decision,
        _C.folded: which.folded,
    }
    conditions = [
        column == (storable(value) if isinstance(value, str) else value)
        for column, value in equal.items()
        if value is not None
    ]
    if which.line is not None:
        named = _C.line == storable(which.line)
        conditions.append(_C.line.is_(None) if which.line == NO_LINE else named)
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
    if which.decided is not None:
        lesson = exists().where(lessons.c.inspection == _C.id)
        conditions.append(lesson if which.decided else ~lesson)
    return conditions


def ids(
    which: Filter, order: Order, *beyond: ColumnElement[bool], back: bool = False
) -> Select[str]:
    """Ids in an order, of what is looked for."""
    query = select(_C.id).where(*conditions(which), *beyond)
    return using(_index(which, order), query.order_by(*ordered(order, back=back)))


def using(index: str, query: Select[*Columns]) -> Select[*Columns]:
    """Have SQLite, which does not know how rare something is, use an index for a query."""
    return query.with_hint(inspections, f"INDEXED BY inspections_{index}", "sqlite")


def is_id(name: str) -> bool:
    """Whether an inspection could have this id."""
    return _ID.fullmatch(name) is not None


def _index(which: Filter, order: Order) -> str:
    if which.part is not None:
        return "part"
    if which.verdict not in (None, "none"):
        return "verdict"
    if which.part_decision == "incomplete":  # the others are of many views
        return "part_decision"
    if order == "newest" and which.kept:
        return "kept"
    # models of a line are few: its rows are soon found, be the line rare or not
    rest = replace(which, line=None, since=None, until=None, model=None, folded=None)
    return "line" if order == "newest" and which.line is not None and rest == ANY else order


def ordered(order: Order, *, back: bool = False) -> list[ColumnElement[Any]]:
    """What rows are sorted by."""
    ascending = (order == "nearest") != back
    columns: list[Any] = [_C.margin, _C.id] if order == "nearest" else [_C.id]
    return [column.asc() if ascending else column.desc() for column in columns]


def key(record: Record, order: Order) -> Key:
    """The place of an inspection in an order."""
    return (record.margin, record.id) if order == "nearest" else (record.id,)


def beyond(order: Order, key: Key, *, back: bool = False) -> ColumnElement[bool]:
    """What comes after a key in an order, or before it."""
    inspection: str = key[-1]
    further = _C.id > inspection if (order == "nearest") != back else _C.id < inspection
    if order == "newest":
        return further
    margin: float = key[0]
    if back:
        return and_(_C.margin <= margin, or_(_C.margin < margin, further))
    return and_(_C.margin >= margin, or_(_C.margin > margin, further))


def cursor(record: Record, order: Order) -> str:
    """The place of an inspection in an order, as a word."""
    text = json.dumps([order, *key(record, order)])
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def key_of(word: str, order: Order) -> Key:
    """What a cursor stands for; raises InvalidCursor."""
    word = word[:_LONGEST_CURSOR]
    try:
        made_for, *found = json.loads(urlsafe_b64decode(word + "=" * (-len(word) % 4)))
    except (ValueError, TypeError) as exc:
        raise InvalidCursor(f"{word!r} is no cursor of a page") from exc
    kinds = [float, str] if order == "nearest" else [str]
    if made_for != order or [type(value) for value in found] != kinds or not is_id(found[-1]):
        raise InvalidCursor(f"{word!r} is no cursor of a page with the {order} first")
    return tuple(found)


def storable(text: str) -> str:
    """A text without what no database takes: a file may have any name."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
