"""What becomes of records while the database, the pictures or the disk fail, one by one."""

import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from onegauge.records.errors import RecordsUnavailable
from onegauge.records.search import Filter
from onegauge.service.observe.metrics import Metrics
from onegauge.service.outbox.spool import Spool
from onegauge.service.recording.entry import Entry
from onegauge.service.recording.store import Store
from onegauge.service.recording.writer import Writer
from tests.records.made import record as made


class Rig:
    """A writer on a SQLite file, and the ways to break what it needs."""

    def __init__(self, folder: Path, spool_bytes: int = 10**6) -> None:
        self.folder, self.now = folder, 0.0
        self.metrics = Metrics()
        self.store = Store(f"sqlite:///{folder}/records/records.db", str(folder / "pictures"))
        self.spool = Spool(folder / "spool", spool_bytes)
        self.writer = Writer(self.store, self.spool, self.metrics, clock=lambda: self.now)

    def rest(self) -> None:
        """Let so much time pass that what failed is tried again, and write what was put by."""
        self.now += 60
        while self.writer.has_more and self.spool.size:
            before = self.spool.size
            self.writer.replay()
            if self.spool.size == before:
                break

    def ids(self, **which: object) -> list[str]:
        return [found.record.id for found in self.store.history.every(Filter(**which))][::-1]

    def lost(self) -> dict[str, int]:
        told = self.metrics.exposition().decode()
        found = re.findall(r'^onegauge_records_lost_total{reason="(.+)"} (.+)$', told, re.MULTILINE)
        return {reason: int(float(number)) for reason, number in found if float(number)}

    def figure(self, name: str) -> float:
        told = self.metrics.exposition().decode()
        return float(re.search(rf"^onegauge_records_{name} (.+)$", told, re.MULTILINE)[1])

    @contextmanager
    def broken(self, monkeypatch: pytest.MonkeyPatch, what: object, method: str):
        def fail(*_: object, **__: object) -> None:
            raise RecordsUnavailable("it is gone") if what is not Spool else OSError(28, "full")

        with monkeypatch.context() as patch:
            patch.setattr(what, method, fail)
            yield


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def record(number: int):
    return made(number, id=f"{number:032x}")


def entries(*numbers: int, picture: bytes | None = None) -> list[Entry]:
    return [Entry(record(n), picture, picture and b"small") for n in numbers]


def ids_of(*numbers: int) -> list[str]:
    return [record(n).id for n in numbers]


def test_records_are_in_the_database_and_their_pictures_beside_it(rig):
    rig.writer.write(entries(1, 2, picture=b"a picture"))
    assert rig.ids(kept=True) == ids_of(1, 2)
    kept = rig.store.history.get(record(1).id).record
    assert rig.store.pictures.read(kept.picture) == b"a picture"
    assert rig.store.history.map(kept.id) == b"small"
    assert kept.preview
    assert (rig.figure("written_total"), rig.lost(), rig.spool.size) == (2, {}, 0)


def test_while_the_database_is_gone_records_wait_on_disk_and_are_then_written_once(
    rig, monkeypatch
):
    rig.writer.write(entries(1))
    with rig.broken(monkeypatch, Store, "open"):
        for number in (2, 3, 4):
            rig.writer.write(entries(number, picture=b"a picture"))
            rig.rest()
        assert rig.figure("unreachable") == 1
        assert rig.figure("spool_bytes") > 0
    rig.writer.write(entries(5))
    rig.rest()
    assert rig.ids() == ids_of(1, 2, 3, 4, 5)
    assert rig.ids(kept=True) == ids_of(2, 3, 4)
    assert (rig.figure("unreachable"), rig.spool.size, rig.lost()) == (0, 0, {})
    rig.writer.write(entries(2, 5))
    assert rig.ids() == ids_of(1, 2, 3, 4, 5)


def test_a_database_that_was_never_there_is_reached_later(rig, monkeypatch):
    with rig.broken(monkeypatch, Store, "open"):
        rig.writer.begin()
        rig.writer.write(entries(1))
    with pytest.raises(RecordsUnavailable):
        rig.ids()
    rig.rest()
    assert rig.ids() == ids_of(1)


def test_a_later_process_writes_what_an_earlier_one_put_by(rig, monkeypatch, tmp_path):
    with rig.broken(monkeypatch, Store, "open"):
        rig.writer.write(entries(1, picture=b"a picture"))
    later = Rig(tmp_path)
    later.writer.begin()
    later.rest()
    assert later.ids(kept=True) == ids_of(1)


def test_while_the_pictures_are_gone_their_records_wait_and_others_do_not(rig, monkeypatch):
    with rig.broken(monkeypatch, Store, "keep"):
        rig.writer.write(entries(1, picture=b"a picture") + entries(2))
        assert rig.ids() == ids_of(2)
        rig.rest()
        assert rig.ids() == ids_of(2)
    rig.rest()
    assert rig.ids(kept=True) == ids_of(1)
    assert rig.lost() == {}


def test_pictures_leave_half_of_the_spool_to_records(tmp_path, monkeypatch):
    rig = Rig(tmp_path, spool_bytes=20_000)
    picture = bytes(3000)
    with rig.broken(monkeypatch, Store, "open"):
        for number in range(12):
            rig.writer.write(entries(number, picture=picture))
    lost = rig.lost()
    assert 0 < lost["picture"] < 12
    assert set(lost) == {"picture"}
    rig.rest()
    assert rig.ids() == ids_of(*range(12))
    assert len(rig.ids(kept=True)) == 12 - lost["picture"]


def test_what_does_not_fit_on_disk_is_counted(tmp_path, monkeypatch):
    rig = Rig(tmp_path, spool_bytes=5000)
    with rig.broken(monkeypatch, Store, "open"):
        for number in range(20):
            rig.writer.write(entries(number))
    assert rig.spool.size <= 5000
    rig.rest()
    kept = rig.ids()
    assert kept == ids_of(*range(len(kept)))
    assert rig.lost() == {"spool-full": 20 - len(kept)}


def test_what_cannot_be_put_by_is_counted(rig, monkeypatch):
    with rig.broken(monkeypatch, Store, "open"), rig.broken(monkeypatch, Spool, "add"):
        rig.writer.write(entries(1, 2))
    assert rig.lost() == {"spool-failed": 2}
    rig.rest()
    rig.writer.write(entries(3))
    assert rig.ids() == ids_of(3)


def test_a_record_that_the_database_refuses_does_not_hold_up_others(rig):
    bad = Entry(replace(record(2), score=float("nan")))
    rig.writer.write([*entries(1), bad, *entries(3)])
    assert rig.ids() == ids_of(1, 3)
    assert rig.lost() == {"refused": 1}
    assert rig.figure("unreachable") == 0


def test_what_is_damaged_on_disk_is_counted_and_the_rest_written(rig, monkeypatch, tmp_path):
    with rig.broken(monkeypatch, Store, "open"):
        rig.writer.write(entries(1, 2, 3))
    (file,) = (tmp_path / "spool").iterdir()
    file.write_bytes(file.read_bytes().replace(record(2).id.encode(), b"f" * 32))
    rig.spool.add([{"record": {"id": "of another version"}}])
    rig.rest()
    assert rig.ids() == ids_of(1, 3)
    assert rig.lost() == {"damaged": 2}


def test_what_is_late_is_put_by_at_once(rig):
    rig.writer.write(entries(1), late=True)
    rig.writer.begin()
    assert rig.ids() == []
    rig.rest()
    assert rig.ids() == ids_of(1)
