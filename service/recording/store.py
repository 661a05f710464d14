"""The database and the pictures of the records, opened when they are reached for the first time."""

from dataclasses import replace
from threading import Lock

from onegauge.records.database import Database
from onegauge.records.errors import RecordsUnavailable
from onegauge.records.history import History
from onegauge.records.pictures import Pictures
from onegauge.records.record import Part
from onegauge.service.recording.entry import Entry


class Store:
    """Where records go to; every method raises RecordsUnavailable while that cannot be reached."""

    def __init__(self, url: str, pictures: str | None) -> None:
        """`pictures` is a folder or a bucket, None where none are kept."""
        self._url, self._where = url, pictures
        self._database: Database | None = None
        self._pictures: Pictures | None = None
        self._opening, self._reaching = Lock(), Lock()

    @property
    def history(self) -> History:
        """The inspections, once the database was reached."""
        return History(self.database)

    @property
    def reached(self) -> bool:
        """Whether the database was there once."""
        return self._database is not None

    @property
    def database(self) -> Database:
        """The database, once it was reached."""
        if self._database is None:
            raise RecordsUnavailable("the database of the records has not been reached yet")
        return self._database

    @property
    def has_pictures(self) -> bool:
        """Whether there is a place for pictures."""
        return self._where is not None

    @property
    def pictures(self) -> Pictures:
        """The pictures."""
        if self._where is None:
            raise RecordsUnavailable("no pictures are kept: ONEGAUGE_PICTURES is unset")
        with self._opening:
            self._pictures = self._pictures or Pictures(self._where)
        return self._pictures

    def open(self) -> None:
        """Reach the database, and bring its tables up to date."""
        with self._reaching:
            self._database = self._database or Database.open(self._url)

    def keep(self, entry: Entry) -> Entry:
        """Keep the picture of an entry, which then names it."""
        if entry.picture is None or isinstance(entry.record, Part):
            return entry
        digest = self.pictures.put(entry.picture)
        record = replace(entry.record, picture=digest, preview=entry.small_map is not None)
        return replace(entry, record=record, picture=None)

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()
