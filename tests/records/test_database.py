"""A database is made, brought to the newest tables, and its failures are told in our words."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from onegauge.records.criteria import saved_criteria
from onegauge.records.database import MIGRATIONS, Database
from onegauge.records.errors import NewerSchema, RecordsError, RecordsUnavailable
from onegauge.records.history import History
from onegauge.records.search import Filter
from onegauge.records.tables import inspections, metadata
from tests.records.made import record

ROOT = Path(__file__).parents[2]
OPEN = """
import sys
from onegauge.records.database import Database
from tests.records.made import record

print("ready", flush=True)
sys.stdin.readline()
Database.open(sys.argv[1]).close()
"""

WRITE = """
import sys
from onegauge.records.database import Database
from onegauge.records.history import History
from tests.records.made import record

history = History(Database.open(sys.argv[1]))
for number in range(10**6):
    one = record(number)
    history.add([one], {one.id: b"map"})
    print(one.id, flush=True)
"""


def test_migrations_lead_to_the_tables(database):
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        present = inspect(connection)
        for table in metadata.sorted_tables:
            indexes = {index["name"] for index in present.get_indexes(table.name)}
            assert indexes == {index.name for index in table.indexes}


def test_what_was_written_is_there_when_it_is_opened_again(url):
    first = Database.open(url)
    History(first).add([record()])
    first.close()
    again = Database.open(url)
    assert len(History(again).find().found) == 1
    again.close()


def test_a_change_of_the_tables_is_told(url, caplog):
    caplog.set_level("INFO", "onegauge.records")
    for _ in range(2):
        Database.open(url).close()
    assert [told.message for told in caplog.records] == ["the tables were changed"]


def test_processes_that_open_a_new_database_at_once_all_can(url):
    command = [sys.executable, "-W", "error", "-c", OPEN, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # all at the same time
        process.stdin.write("\n")
        process.stdin.flush()
    ends = [(process.communicate()[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * 4


def test_a_new_file_that_another_process_writes_is_waited_for(tmp_path):
    file = tmp_path / "records.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as threads:
        opening = threads.submit(Database.open, f"sqlite:///{file}")
        with pytest.raises(TimeoutError):
            opening.result(0.2)
        other.execute("COMMIT")
        opening.result().close()
    other.close()


def test_a_writer_that_is_killed_leaves_all_that_it_had_written(url):
    command = [sys.executable, "-c", WRITE, url]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, cwd=ROOT) as process:
        written = [process.stdout.readline().strip() for _ in range(50)]
        process.kill()
        written += process.stdout.read().split()
    database = Database.open(url)
    history = History(database)
    for inspection in written:
        assert history.map(inspection) == b"map"
    assert len(written) <= len(history.tally.scores()) <= len(written) + 1
    if "sqlite" in url:
        with database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
    database.close()


def test_a_database_of_a_newer_onegauge_is_left_alone(url):
    database = Database.open(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(NewerSchema, match=r"schema 9999, this onegauge knows \d{4}"):
        Database.open(url)


def test_an_older_database_is_brought_up_to_date_and_keeps_its_records(url):
    first, engine = record(), create_engine(url)
    if engine.dialect.name == "sqlite":
        Path(engine.url.database).parent.mkdir()
    with engine.begin() as connection:  # as the first onegauge with records left it
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        row = {**vars(first), "margin": first.margin}
        connection.execute(inspections.insert(), [row])
    engine.dispose()
    database = Database.open(url)
    assert saved_criteria(database, "onegauge", limit=1) == []
    history = History(database)
    assert [found.record for found in history.find(Filter(folded=False)).found] == [first]
    database.close()


def test_what_only_looks_makes_and_changes_nothing(postgresql, tmp_path):
    file = tmp_path / "records.db"
    with pytest.raises(RecordsUnavailable, match="is not there"):
        Database.open(f"sqlite:///{file}", migrate=False)
    assert not file.exists()
    url = postgresql.new_database()
    with pytest.raises(RecordsError, match=r"schema None, this onegauge needs \d{4}"):
        Database.open(url, migrate=False)
    Database.open(url).close()
    Database.open(url, migrate=False).close()


def test_what_fails_in_between_leaves_no_trace(database):
    def fail() -> None:
        with database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'lost'"))
            raise KeyError

    pytest.raises(KeyError, fail)
    with database.reading() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) != "lost"


def test_gateways_share_a_secret(url):
    first, second = Database.open(url), Database.open(url)
    secret = first.secret("sessions")
    assert len(secret) == 32
    assert second.secret("sessions") == first.secret("sessions") == secret
    assert second.secret("others") != secret
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("records.db", "no URL of a database"),
        ("mysql://server/records", "mysql: records are in sqlite or postgresql"),
        ("sqlite://", "need a file"),
        ("sqlite:///:memory:", "need a file"),
    ],
)
def test_other_addresses_are_refused(url, told):
    with pytest.raises(RecordsError, match=told):
        Database.open(url)


def test_a_password_is_in_no_message(postgresql):
    url = postgresql.new_database().replace("postgres@", "postgres:geheim@")
    with pytest.raises(RecordsUnavailable) as failure:
        Database.open(url.replace("127.0.0.1:", "127.0.0.1:1"))
    assert "geheim" not in str(failure.value)


def test_a_question_keeps_one_process_of_the_server_busy(postgresql):
    database = Database.open(postgresql.new_database())
    with database.reading() as connection:
        assert connection.scalar(text("SHOW max_parallel_workers_per_gather")) == "0"
    database.close()


def test_a_server_that_is_gone_is_unavailable_until_it_is_back(postgresql):
    database = Database.open(postgresql.new_database())
    history = History(database)
    history.add([record(1)])
    postgresql.stop()
    try:
        with pytest.raises(RecordsUnavailable):
            history.add([record(2)])
        with pytest.raises(RecordsUnavailable):
            history.find()
    finally:
        postgresql.start()
    history.add([record(3)])
    assert [found.record.part for found in history.find().found] == ["part-3", "part-1"]
    database.close()


def test_a_file_that_cannot_be_is_unavailable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordsUnavailable, match="file"):
        Database.open(f"sqlite:///{tmp_path}/file/records.db")


def test_a_file_is_for_its_user_alone(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/records.db")
    History(database).add([record()])
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    database.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "records.db").write_bytes(b"no database" * 100)
    with pytest.raises(RecordsUnavailable, match="not a database"):
        Database.open(f"sqlite:///{tmp_path}/records.db")


def test_a_full_disk_is_unavailable_and_what_was_there_stays(tmp_path: Path):
    file = tmp_path / "records.db"
    database = Database.open(f"sqlite:///{file}")
    history = History(database)
    history.add([record(1)])
    with database.writing() as connection:  # SQLite itself answers "database or disk is full"
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(RecordsUnavailable, match="full"):
        history.add([record(n, filename="x" * 1000) for n in range(100)])
    assert len(history.find().found) == 1
    database.close()


def test_another_program_may_read_the_file_meanwhile(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/records.db")
    with sqlite3.connect(tmp_path / "records.db") as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM inspections").fetchone() == (0,)
        History(database).add([record()])
    other.close()
    database.close()
