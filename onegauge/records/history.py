"""Finds inspections in the database, and takes what persons say of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, select, update

from onegauge.records.database import Database, insert
from onegauge.records.errors import PictureGone, UnknownInspection
from onegauge.records.record import Judgement, Opinion, Part, Record, first_id
from onegauge.records.search import (
    ANY,
    Filter,
    Order,
    beyond,
    cursor,
    ids,
    is_id,
    key,
    key_of,
    ordered,
    storable,
)
from onegauge.records.tables import inspections, judgements, masks, parts, small_maps
from onegauge.records.tally import Tally
from onegauge.records.views import tell_views
from onegauge.schemas import PartWord, Verdict

_C = inspections.c
RECORD = [_C[field.name] for field in fields(Record)]
_FOUND = [*RECORD, _C.verdict, _C.part_decision]
_TEXTS = ("request_id", "line", "part", "filename", "key", "media_type")

NEAR = 5  # decisions of a part after a view, of which one may be its own
VIEWS = 50  # other pictures of a part that are judged with one, where nothing tells which it has
# What a picture was called that a verdict can hold for
_CALLED: Mapping[Opinion, Verdict] = {"false_alarm": "anomalous", "missed": "normal"}


@dataclass(frozen=True)
class Found:
    """An inspection, the verdict that stands, and what was decided on its part."""

    record: Record
    verdict: Opinion | None
    part_decision: PartWord | None = None  # on all views of its part, where that is made


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


class History:
    """The inspections in a database; each method raises RecordsUnavailable."""

    def __init__(self, database: Database):
        self._database = database

    @property
    def tally(self) -> Tally:
        """What the inspections add up to."""
        return Tally(self._database)

    def add(
        self,
        records: Sequence[Record | Part],
        maps: Mapping[str, bytes] | None = None,
        masked: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write inspections and decisions of parts, but not again what is there already.

        `maps` and `masked` are PNG files of some inspections by their ids: small maps and masks.
        """
        rows = [_row(record) for record in records if isinstance(record, Record)]
        decided = [_storable(vars(part)) for part in records if isinstance(part, Part)]
        written = [(inspections, "id", rows), (parts, "id", decided)]
        for table, files in ((small_maps, maps), (masks, masked)):
            pngs = [{"inspection": i, "png": png} for i, png in (files or {}).items()]
            written.append((table, "inspection", pngs))
        if records:
            named = {row["part"] for row in (*rows, *decided)} - {None}
            with self._database.writing() as connection:
                for table, key, values in written:
                    if values:
                        connection.execute(insert(connection, table, key), values)
                if named:
                    tell_views(connection, named, min(record.id for record in records))

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
        later = () if after is None else (beyond(order, key_of(after, order)),)
        # the rows are fetched when it is known which
        chosen = ids(which, order, *later).limit(limit + 1).subquery()
        query = select(*_FOUND).join_from(chosen, inspections, chosen.c.id == _C.id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(*ordered(order)))
            found = [_found(row._mapping) for row in rows]
        more = len(found) > limit
        return Page(found[:limit], cursor(found[limit - 1].record, order) if more else None)

    def get(self, inspection: str) -> Entry:
        """An inspection and what was said of it; raises UnknownInspection."""
        said = select(judgements).where(judgements.c.inspection == inspection)
        with self._database.reading() as connection:
            record = _one(connection, inspection)
            rows = connection.execute(said.order_by(judgements.c.number)).mappings().all()
        return Entry(record, [_judgement(row) for row in rows])

    def map(self, inspection: str) -> bytes:
        """The PNG file of a small anomaly map; raises PictureGone."""
        png = self._png(small_maps, inspection)
        if png is None:
            raise PictureGone(f"there is no map of {inspection!r}: it was removed")
        return png

    def mask(self, inspection: str) -> bytes | None:
        """The PNG file of what was inspected of a kept picture, None where that was all of it."""
        return self._png(masks, inspection)

    def _png(self, table: Table, inspection: str) -> bytes | None:
        if not is_id(inspection):
            return None
        with self._database.reading() as connection:
            png: bytes | None = connection.scalar(
                select(table.c.png).where(table.c.inspection == inspection)
            )
        return png

    def part_of(self, record: Record) -> Part | None:
        """What was decided on the views of a part together, of which an inspection is one."""
        if record.part is None:
            return None
        named = parts.c.part == record.part, parts.c.line.is_not_distinct_from(record.line)
        # the first decision after a view is of it, if any: but two may fall into one millisecond
        later = select(parts).where(*named, parts.c.id >= first_id(record.time))
        with self._database.reading() as connection:
            rows = connection.execute(later.order_by(parts.c.id).limit(NEAR)).mappings()
            decided = (Part(**row) for row in rows)
            return next((part for part in decided if record.id in part.inspections), None)

    def views(self, part: Part) -> list[Found]:
        """The views of a part that are still on record, the oldest first."""
        return self.those(sorted(part.inspections))

    def those(self, wanted: Sequence[str]) -> list[Found]:
        """Inspections by their ids, in that order, without those that have left."""
        query = select(*_FOUND).where(_C.id.in_(wanted))
        with self._database.reading() as connection:
            found = {row["id"]: _found(row) for row in connection.execute(query).mappings()}
        return [found[inspection] for inspection in wanted if inspection in found]

    def around(
        self,
        inspection: str,
        which: Filter = ANY,
        *,
        order: Order = "newest",
        but: Sequence[str] = (),
    ) -> Around:
        """The inspections beside one, which need not be in the list, other than those of `but`.

        Raises UnknownInspection.
        """
        others = [_C.id.not_in(but)] if but else []
        with self._database.reading() as connection:
            place = key(_one(connection, inspection), order)
            beside = [
                connection.scalar(
                    ids(which, order, beyond(order, place, back=back), *others, back=back).limit(1)
                )
                for back in (True, False)
            ]
        return Around(*beside)

    def judge(
        self,
        inspection: str,
        verdict: Opinion | None,
        *,
        by: str | None,
        note: str | None = None,
        whole_part: bool = False,
    ) -> Judgement:
        """Say something of an inspection, or None to take it back.

        With `whole_part` the other views of its part are judged with it: those that the verdict
        cannot hold for were decided on rightly, so they are confirmed. Where nothing tells which
        views a part has, the newest other pictures of it are judged, if the verdict can hold. What
        was said together is taken back together. Raises UnknownInspection.
        """
        record = self.get(inspection).record
        judged: dict[str, Opinion | None] = {inspection: verdict}
        if verdict is None:
            judged |= dict.fromkeys(self._judged_with(record))
        elif whole_part:
            part = self.part_of(record)
            wrong = _CALLED.get(verdict)
            for view in (record, *self._beside(record, part)):
                if wrong in (None, view.decision):
                    judged[view.id] = verdict
                elif part:
                    judged[view.id] = "confirmed"
        time = datetime.now(UTC)
        said = [None if text is None else storable(text) for text in (by, note)]
        made = [Judgement(one, time, verdict, *said) for one, verdict in judged.items()]
        with self._database.writing() as connection:
            for judgement in made:
                _say(connection, judgement)
        return made[0]

    def _beside(self, record: Record, part: Part | None) -> list[Record]:
        """The other views of a part that was decided on, else the newest other pictures of it."""
        if part:
            return [view.record for view in self.views(part) if view.record.id != record.id]
        if record.part is None:
            return []
        found = self.find(Filter(part=record.part), limit=VIEWS + 1).found
        return [view.record for view in found if view.record.id != record.id][:VIEWS]

    def _judged_with(self, record: Record) -> list[str]:
        """The other pictures of the part that the last verdict was given to as well."""
        said = self.get(record.id).judgements
        if not said or said[-1].verdict is None:
            return []
        views = (
            self.get(view.id).judgements for view in self._beside(record, self.part_of(record))
        )
        last = (judgements[-1] for judgements in views if judgements)
        return [one.inspection for one in last if one.verdict and one.time == said[-1].time]

    def every(self, which: Filter = ANY, *, batch: int = 1000) -> Iterator[Found]:
        """All inspections of a kind, the newest first, without holding them all."""
        after = None
        while True:
            page = self.find(which, after=after, limit=batch)
            yield from page.found
            if (after := page.next) is None:
                return


def _row(record: Record) -> dict[str, Any]:
    return _storable({**vars(record), "margin": record.margin})


def _storable(row: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: storable(row[name]) for name in _TEXTS if row.get(name) is not None}
    return {**row, **texts}


def _found(row: Any) -> Found:
    values = dict(row)
    beside = values.pop("verdict"), values.pop("part_decision")
    return Found(Record(**values), *beside)


def _judgement(row: Any) -> Judgement:
    return Judgement(**{field.name: row[field.name] for field in fields(Judgement)})


def _one(connection: Connection, inspection: str) -> Record:
    if is_id(inspection):
        row = connection.execute(select(*RECORD).where(_C.id == inspection)).mappings().first()
        if row is not None:
            return Record(**row)
    raise UnknownInspection(f"there is no inspection {inspection!r}")


def _say(connection: Connection, judgement: Judgement) -> None:
    _one(connection, judgement.inspection)
    named = update(inspections).where(_C.id == judgement.inspection)
    connection.execute(named.values(verdict=judgement.verdict))
    connection.execute(judgements.insert(), asdict(judgement))
