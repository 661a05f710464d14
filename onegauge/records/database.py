"""A SQLite file or a PostgreSQL, opened and brought to the tables that this onegauge knows."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes
from time import monotonic, sleep
from typing import Any, Self

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    FromClause,
    Insert,
    Table,
    create_engine,
    event,
    exc,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import URL

from onegauge.records.errors import NewerSchema, RecordsError, RecordsUnavailable, RefusedRecord
from onegauge.records.tables import secrets

_log = logging.getLogger("onegauge.records")

MIGRATIONS = Path(__file__).parent / "migrations"
# locks of PostgreSQL: gateways migrate one after another, and one of them does what one should
MIGRATING, ALONE = 0x6F6E6567, 0x6F6E6568
BUSY_MS = 5000  # how long one writer of SQLite waits for another
AGAIN_S = 0.01
# a PostgreSQL that is gone is noticed within seconds, not after TCP's quarter of an hour
POSTGRESQL = {"connect_timeout": 5, "keepalives_idle": 5, "tcp_user_timeout": 10_000}
GONE = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)

REFUSED = (exc.DataError, exc.IntegrityError)  # of a value, not of the database


class Database:
    """A database of records; raises RecordsUnavailable wherever it does not answer."""

    def __init__(self, engine: Engine):
        self._reader = engine
        self._writer = engine.execution_options(writes=True)

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> Self:
        """Open `sqlite:///FILE` or `postgresql+psycopg://…`, made or migrated where need be.

        Without `migrate` it must be there as this onegauge would make it, and is left so. Raises
        RecordsUnavailable, NewerSchema, and RecordsError for another URL.
        """
        address = _address(url)
        if not migrate and _is_sqlite(address) and not Path(str(address.database)).exists():
            raise RecordsUnavailable(f"{address.database} is not there")
        database = cls(_sqlite(address) if _is_sqlite(address) else _postgresql(address))
        try:
            with database.writing() as connection:
                _migrate(connection, allowed=migrate)
        except RecordsError:
            database.close()
            raise
        return database

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database."""
        with _mapped(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose transaction is committed at the end, or else leaves no trace."""
        with _mapped(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other gateway does what only one should do at a time, and has it to itself.

        Gateways share a PostgreSQL; of a SQLite file there is one.
        """
        if self._reader.dialect.name == "sqlite":
            yield True
            return
        with self.reading() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")  # which stays idle for long
            got = connection.scalar(text(f"SELECT pg_try_advisory_lock({ALONE})"))
            try:
                yield bool(got)
            finally:
                if got:  # a lock that cannot be let go any more went with its connection
                    connection.execute(text(f"SELECT pg_advisory_unlock({ALONE})"))

    def secret(self, name: str) -> bytes:
        """32 random bytes that all gateways of this database share, made when first asked for."""
        known = select(secrets.c.value).where(secrets.c.name == name)
        with self.writing() as connection:
            if (value := connection.scalar(known)) is None:
                made = insert(connection, secrets, "name")
                connection.execute(made, {"name": name, "value": token_bytes(32)})
                value = connection.scalar(known)  # of another gateway, if that was quicker
        return bytes(value or b"")

    def close(self) -> None:
        """Close all connections."""
        self._reader.dispose()


def insert(connection: Connection, table: Table, key: str) -> Insert:
    """Insert rows, but none whose key is there."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return make(table).on_conflict_do_nothing(index_elements=[key])


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except exc.DatabaseError as error:
        # a class below it that is not in GONE is a mistake of ours
        if isinstance(error, GONE) or type(error) is exc.DatabaseError:
            raise RecordsUnavailable(f"the database of records: {error.orig}") from error
        if isinstance(error, REFUSED):
            raise RefusedRecord(f"the database of records: {error.orig}") from error
        raise
    except GONE as error:
        raise RecordsUnavailable(f"the database of records: {error}") from error


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except exc.ArgumentError as error:
        raise RecordsError(f"{url!r} is no URL of a database, as sqlite:///records.db") from error
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise RecordsError(f"{address.drivername}: records are in sqlite or postgresql+psycopg")
    if _is_sqlite(address) and address.database in (None, "", ":memory:"):
        raise RecordsError("records need a file, as sqlite:///records.db")
    return address


def _is_sqlite(address: URL) -> bool:
    return address.get_backend_name() == "sqlite"


def _postgresql(address: URL) -> Engine:
    try:
        engine = create_engine(
            address.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args=POSTGRESQL,
        )
    except ModuleNotFoundError as error:
        raise RecordsError(f"{error.name} is missing: pip install 'onegauge[postgres]'") from error

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        # for something rare several processes read all rows; alone, one reads an index of them
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.commit()

    return engine


def _sqlite(address: URL) -> Engine:
    file = Path(str(address.database))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # there are secrets in it
    except OSError as error:
        raise RecordsUnavailable(f"the records cannot be kept: {error}") from error
    engine = create_engine(address.set(drivername="sqlite+pysqlite"))
    engine.dialect.statement_compiler = _Hinting

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where sqlite3 thinks
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # a writer that first reads could not be given the lock later
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have the file keep a log; those that open a new one at once do so one after another.

    For this lock SQLite itself does not wait.
    """
    give_up = monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if monotonic() > give_up:
                raise
            sleep(AGAIN_S)


class _Hinting(SQLiteCompiler):
    """Writes a hint of `with_hint` behind its table, as in `inspections INDEXED BY …`."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002
        return text


def _migrate(connection: Connection, *, allowed: bool) -> None:
    """Bring the tables to the newest schema, in the connection's transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATING})")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    if present not in (None, *(script.revision for script in known.walk_revisions())):
        raise NewerSchema(
            f"the database has schema {present}, this onegauge knows {known.get_current_head()} "
            "and older ones: use the onegauge that changed it, or a newer one"
        )
    if present != known.get_current_head():
        if not allowed:
            raise RecordsError(
                f"the database has schema {present}, this onegauge needs "
                f"{known.get_current_head()}: its gateway changes that when it starts"
            )
        command.upgrade(config, "head")
        schemas = {"before": present, "now": known.get_current_head()}
        _log.info("the tables were changed", extra={"fields": schemas})
