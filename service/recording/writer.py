"""Writes records to the database, or puts them by until it is back.

A record that is written twice is there once, since its id decides: so what was put by may be
written again after any failure.
"""

import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TypeVar

from onegauge.records.errors import RecordsError, RecordsUnavailable, RefusedRecord
from onegauge.service.observe.metrics import Metrics
from onegauge.service.outbox.apart import Apart, Late
from onegauge.service.outbox.contact import Contact, Words
from onegauge.service.outbox.spool import Segment, Spool
from onegauge.service.recording.entry import Entry
from onegauge.service.recording.store import Store

T = TypeVar("T")
DATABASE_S, PICTURES_S = 10.0, 30.0  # after which a batch is put by: it may be written twice
WORDS = Words(
    logging.getLogger("onegauge.records"), "records cannot be written", "records are written again"
)


class Writer:
    """For one thread; what can neither be written nor put by is counted."""

    def __init__(
        self,
        store: Store,
        spool: Spool,
        metrics: Metrics,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store, self._spool, self._metrics = store, spool, metrics
        self._database, self._pictures, self._disk = (
            Contact(name, WORDS, clock) for name in ("database", "pictures", "spool")
        )
        self._beside_database = Apart("database of the records")
        self._beside_pictures = Apart("place of the pictures")
        metrics.records.spooled.set_function(lambda: spool.size)
        metrics.records.unreachable.set_function(lambda: self._database.lost or self._pictures.lost)

    def begin(self) -> None:
        """Take over what an earlier process has put by, and reach the database."""
        try:
            self._spool.look()
        except OSError as exc:
            self._disk.failed(exc)
        self.write([])

    def write(self, entries: Sequence[Entry], *, late: bool = False) -> None:
        """Write entries, or put them by; at once where it is `late` already."""
        if late or not self._database.due:
            self._put_by(entries)
            return
        kept, left = self._keep_pictures(entries)
        if not self._add(kept):
            left = [*kept, *left]
        self._put_by(left)

    @property
    def has_more(self) -> bool:
        """Whether something was put by that could be written now."""
        reached = self._database.due and self._pictures.due and self._disk.due
        return reached and self._spool.size > 0

    def replay(self) -> None:
        """Write the oldest of what was put by."""
        try:
            segment = self._spool.first()
            if segment and self._write_again(segment):
                self._spool.drop(segment)
                self._disk.succeeded()
        except OSError as exc:
            self._disk.failed(exc)

    def _write_again(self, segment: Segment) -> bool:
        """Whether the entries of a segment are written, but for damaged ones."""
        entries, damaged = [], segment.damaged
        for told in segment.entries:
            try:
                entries.append(Entry.from_json(told))
            except (KeyError, TypeError, ValueError):  # of an older version, perhaps
                damaged += 1
        kept = self._keep(entries)
        written = kept is not None and self._add(kept)
        if written:
            self._metrics.records.lost("damaged", damaged)
        return written

    def _keep_pictures(self, entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
        """Entries whose pictures are kept, or given up, and those that are to be put by."""
        if (kept := self._keep(entries)) is not None:
            return kept, []
        bare = [entry for entry in entries if entry.picture is None]
        left = [entry for entry in entries if entry.picture is not None]
        if self._spool.size < self._spool.max_bytes // 2:
            return bare, left
        self._metrics.records.lost("picture", len(left))
        return bare + [entry.bare() for entry in left], []

    def _keep(self, entries: Sequence[Entry]) -> list[Entry] | None:
        """The entries once their pictures are kept, None where those cannot be reached."""
        if all(entry.picture is None for entry in entries):
            return list(entries)
        if not self._pictures.due:
            return None
        try:
            kept = _in_time(
                self._beside_pictures, lambda: [self._store.keep(e) for e in entries], PICTURES_S
            )
        except RecordsError as exc:
            self._pictures.failed(exc)
            return None
        self._pictures.succeeded()
        return kept

    def _add(self, entries: Sequence[Entry]) -> bool:
        """Whether the database was reached; it may have refused some of them."""
        try:
            written = _in_time(self._beside_database, lambda: self._add_each(entries), DATABASE_S)
        except RecordsError as exc:
            self._database.failed(exc)
            return False
        if entries:
            self._database.succeeded()
        self._metrics.records.written.inc(written)
        return True

    def _add_each(self, entries: Sequence[Entry]) -> int:
        """How many records the database took: all, or all but those that it refuses."""
        self._store.open()
        maps = {e.record.id: e.small_map for e in entries if e.small_map is not None}
        masks = {e.record.id: e.mask for e in entries if e.mask is not None}
        try:
            self._store.history.add([entry.record for entry in entries], maps, masks)
            return len(entries)
        except RefusedRecord:
            if len(entries) == 1:
                self._metrics.records.lost("refused")
                return 0
        return sum(self._add_each([entry]) for entry in entries)

    def _put_by(self, entries: Sequence[Entry]) -> None:
        """To the spool; pictures take half of it, so that the other half is for records."""
        if not entries:
            return
        if self._spool.size >= self._spool.max_bytes // 2:
            self._metrics.records.lost("picture", sum(e.picture is not None for e in entries))
            entries = [entry.bare() for entry in entries]
        try:
            kept = self._spool.add([entry.to_json() for entry in entries])
        except OSError as exc:
            self._disk.failed(exc)
            self._metrics.records.lost("spool-failed", len(entries))
            return
        self._disk.succeeded()
        self._metrics.records.lost("spool-full", len(entries) - len(kept.entries))


def _in_time(apart: Apart, task: Callable[[], T], within_s: float) -> T:
    """What a task comes to; raises what it raises, and RecordsUnavailable where it is late."""
    try:
        return apart.run(task, within_s)
    except Late as exc:
        raise RecordsUnavailable(str(exc)) from exc
