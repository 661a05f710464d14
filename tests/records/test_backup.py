"""What is saved as the documentation tells comes back, beside a gateway that goes on writing."""

import shutil
import sqlite3
import subprocess
from pathlib import Path

from sqlalchemy import make_url

from onegauge.records.database import Database
from onegauge.records.history import History
from rig.postgresql import PROGRAMS
from tests.records.made import decided, record


def program(name: str) -> str:
    """One of PostgreSQL's, of the newest version that is installed."""
    return str(max(PROGRAMS.glob(f"*/bin/{name}"), key=lambda file: int(file.parts[-3])))


def save(url: str, copy: Path) -> None:
    """As an operator does."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(make_url(url).database)
        connection.execute(f"VACUUM INTO '{copy}'")
        connection.close()
    else:
        command = [program("pg_dump"), "--format=custom", f"--file={copy}", _libpq(url)]
        subprocess.run(command, check=True)


def kill(url: str, gateway: Database) -> None:
    """End a gateway, with the file that it leaves of SQLite if it has no time to tidy up."""
    log = Path(f"{make_url(url).database}-wal")
    left = log.read_bytes() if url.startswith("sqlite") else b""
    gateway.close()
    if left:
        log.write_bytes(left)


def put_back(url: str, copy: Path) -> None:
    """Likewise, over what is there."""
    if url.startswith("sqlite"):
        file = Path(make_url(url).database)
        for left in file.parent.glob(f"{file.name}-*"):
            left.unlink()
        shutil.copy(copy, file)
    else:
        options = ["--clean", "--if-exists", f"--dbname={_libpq(url)}"]
        subprocess.run([program("pg_restore"), *options, copy], check=True)


def test_what_was_saved_is_put_back(url, tmp_path):
    gateway = Database.open(url)
    history = History(gateway)
    views = [record(n, part="4711") for n in range(2)]
    history.add([*views, decided(views)], {views[0].id: b"map"})
    history.judge(views[0].id, "confirmed", by="Ada", note="ä")
    save(url, tmp_path / "copy")
    history.add([record(9)])
    history.judge(views[1].id, "missed", by="Ben")
    kill(url, gateway)
    put_back(url, tmp_path / "copy")
    gateway = Database.open(url)
    history = History(gateway)
    assert {one.record.id: one.verdict for one in history.every()} == {
        views[0].id: "confirmed",
        views[1].id: None,
    }
    assert history.map(views[0].id) == b"map"
    assert history.part_of(views[1]).inspections == [view.id for view in views]
    history.judge(views[1].id, "unclear", by="Ada")  # whose number no other has
    gateway.close()


def _libpq(url: str) -> str:
    return url.replace("+psycopg", "")
