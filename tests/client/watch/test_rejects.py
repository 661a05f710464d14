import os
from pathlib import Path

import pytest

from onegauge.client.watch.journal import Journal, Stamp, stamp_of
from onegauge.client.watch.rejects import Rejects
from onegauge.pauses import Pauses

AT_ONCE = Pauses(0.0, 0.0)
BAD = "anomalous"


class World:
    """A camera's folder, a journal, and a folder of rejects."""

    def __init__(self, folder: Path) -> None:
        self.camera = folder / "camera"
        self.folder = folder / "rejects"
        self.journal = Journal(folder / "found.jsonl")
        self.camera.mkdir()

    def rejects(self, *, move: bool = False, pauses: Pauses = AT_ONCE) -> Rejects:
        return Rejects(self.folder, self.camera, self.journal, move=move, pauses=pauses)

    def judged(self, name: str, data: bytes | None = b"picture", decision: str = BAD) -> Stamp:
        """The stamp of a file, written if there is `data`, of which the journal has a line."""
        if data is not None:
            put(self.camera / name, data)
        stamp = stamp_of(self.camera / name)
        assert stamp is not None
        self.journal.write(name, stamp, {"decision": decision})
        return stamp

    def there(self) -> dict[str, bytes]:
        """What is among the rejects, hidden files too."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def put(file: Path, data: bytes = b"picture") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def test_picture_is_linked_once(world):
    stamp = world.judged("day/a.png")
    for _ in range(2):
        world.rejects().put_by("day/a.png", stamp)
    assert world.there() == {"day/a.png": b"picture"}
    assert (world.folder / "day" / "a.png").samefile(world.camera / "day" / "a.png")


def test_picture_is_moved(world):
    world.rejects(move=True).put_by("a.png", world.judged("a.png"))
    assert world.there() == {"a.png": b"picture"}
    assert not (world.camera / "a.png").exists()


def test_move_goes_on_where_it_was_interrupted(world):
    stamp = world.judged("a.png")
    world.rejects().put_by("a.png", stamp)  # linked, and not removed yet
    world.rejects(move=True).put_by("a.png", stamp)
    assert world.there() == {"a.png": b"picture"}
    assert not (world.camera / "a.png").exists()


def test_other_pictures_of_a_name_stay(world):
    for number, move in enumerate((True, False)):
        data = f"picture {number}".encode()
        world.rejects(move=move).put_by("a.png", world.judged("a.png", data))
    assert sorted(world.there().values()) == [b"picture 0", b"picture 1"]


def test_two_parts_that_look_the_same_are_two_pictures(world):
    for time in (1, 2):
        put(world.camera / "a.png")
        os.utime(world.camera / "a.png", ns=(time, time))
        world.rejects(move=True).put_by("a.png", world.judged("a.png", None))
    assert len(world.there()) == 2


@pytest.mark.parametrize("move", [False, True])
def test_picture_that_has_changed_or_gone_is_left_alone(world, move, capfd):
    states = {name: world.judged(name) for name in ("a.png", "gone.png", "day/b.png")}
    put(world.camera / "a.png", b"another picture")
    (world.camera / "gone.png").unlink()
    (world.camera / "day" / "b.png").unlink()
    (world.camera / "day").rmdir()
    put(world.camera / "day")
    for name, stamp in states.items():
        world.rejects(move=move).put_by(name, stamp)
    assert world.there() == {}
    assert (world.camera / "a.png").exists()
    assert capfd.readouterr().err == ""


def test_picture_that_got_another_decision_waits_no_more(world):
    world.folder.touch()
    kept = world.rejects()
    stamp = world.judged("a.png")
    kept.put_by("a.png", stamp)
    world.judged("a.png", None, "normal")
    world.folder.unlink()
    for again in (kept, world.rejects()):
        again.again()
    assert world.there() == {}


@pytest.mark.parametrize("move", [False, True])
def test_what_is_linked_into_the_folder_is_put_by_and_not_the_link(world, move):
    put(world.camera.parent / "share" / "a.png")
    (world.camera / "a.png").symlink_to("../share/a.png")
    world.rejects(move=move).put_by("a.png", world.judged("a.png", None))
    assert world.there() == {"a.png": b"picture"}
    assert not (world.folder / "a.png").is_symlink()
    assert (world.camera / "a.png").is_symlink() != move
    assert (world.camera.parent / "share" / "a.png").exists()


def test_name_that_is_taken_or_too_long_gets_another(world):
    put(world.folder / "taken", b"a file")
    (world.folder / "b.png").mkdir()
    names = ["taken/a.png", "taken/deep/a.png", "b.png", f"{'ü' * 125}.png"]
    kept = world.rejects()
    put(world.folder / names[3], b"another picture")
    for number, name in enumerate(names):
        kept.put_by(name, world.judged(name, f"{number}".encode()))
    found = world.there()
    assert sorted(data for data in found.values() if len(data) == 1) == [b"0", b"1", b"2", b"3"]
    assert found["taken"] == b"a file"
    assert next(name for name, data in found.items() if data == b"0").startswith("taken_a.")
    for name in names:  # and no third one when they are put by again
        world.rejects().put_by(name, world.judged(name, None))
    assert world.there() == found


def test_folder_that_cannot_be_written_is_said_once_and_tried_again(world, capfd):
    world.folder.touch()
    kept = world.rejects()
    for name in ("a.png", "b.png"):
        kept.put_by(name, world.judged(name))
        kept.again()
    assert capfd.readouterr().err.count(f"rejects wait: {world.folder}") == 1
    world.folder.unlink()
    kept.again()
    assert set(world.there()) == {"a.png", "b.png"}
    assert capfd.readouterr().err == "onegauge: all rejects are put by\n"


def test_what_waits_is_put_by_after_a_start(world):
    world.folder.touch()
    for name in ("a.png", "b.png"):
        world.rejects().put_by(name, world.judged(name))
    world.folder.unlink()
    world.rejects().again()
    assert set(world.there()) == {"a.png", "b.png"}
    (world.folder / "a.png").unlink()  # by who has looked at it
    world.rejects().again()
    assert set(world.there()) == {"b.png"}


def test_one_that_fails_does_not_hold_up_the_others(world):
    world.folder.touch()
    kept = world.rejects()
    # linked into the folder from where nothing can be read, and hard links cannot lead
    (world.camera / "bad.png").symlink_to("/proc/self/mem")
    for name in ("bad.png", "b.png", "c.png"):
        kept.put_by(name, world.judged(name, None if name == "bad.png" else b"picture"))
    world.folder.unlink()
    for _ in range(3):
        kept.again()
    assert set(world.there()) == {"b.png", "c.png"}


def test_pauses_between_tries_grow(world):
    (world.folder).touch()
    kept = world.rejects(pauses=Pauses(3600.0, 3600.0))
    kept.put_by("a.png", world.judged("a.png"))
    (world.folder).unlink()
    kept.again()
    assert world.there() == {}


def test_copy_is_whole_or_not_there(world, monkeypatch):
    stamp = world.judged("a.png")
    no_links(monkeypatch)
    kept = world.rejects()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: raise_(OSError(28, "No space left on device")))
        kept.put_by("a.png", stamp)
        assert world.there() == {}
    kept.again()
    assert world.there() == {"a.png": b"picture"}
    assert (world.folder / "a.png").stat().st_mtime_ns == stamp.mtime_ns
    world.rejects().put_by("a.png", stamp)
    assert world.there() == {"a.png": b"picture"}


def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system without hard links, which a test cannot have mounted."""
    monkeypatch.setattr(os, "link", lambda *_, **__: raise_(PermissionError(1, "not permitted")))


def raise_(exc: Exception) -> None:
    raise exc


def test_picture_that_comes_there_at_the_same_time_stays(world, monkeypatch):
    link = os.link

    def other_first(source: Path, target: Path, **options: object) -> None:
        monkeypatch.setattr(os, "link", link)
        put(target, b"of another line")
        link(source, target, **options)

    stamp = world.judged("a.png")
    monkeypatch.setattr(os, "link", other_first)
    world.rejects().put_by("a.png", stamp)
    assert sorted(world.there().values()) == [b"of another line", b"picture"]


def test_link_of_a_file_that_was_changed_in_its_place_is_withdrawn(world):
    stamp = world.judged("a.png", b"half")
    kept = world.rejects()
    kept.put_by("a.png", stamp)
    put(world.camera / "a.png", b"half and half")
    kept.withdraw("a.png", stamp)
    assert world.there() == {}


def test_link_that_got_another_name_is_withdrawn_too(world):
    put(world.folder / "a.png", b"another picture")
    stamp = world.judged("a.png", b"half")
    kept = world.rejects()
    kept.put_by("a.png", stamp)
    assert len(world.there()) == 2
    put(world.camera / "a.png", b"half and half")
    kept.withdraw("a.png", stamp)
    assert world.there() == {"a.png": b"another picture"}


def test_copy_of_half_a_picture_is_withdrawn_and_of_another_one_stays(world, monkeypatch):
    no_links(monkeypatch)
    kept = world.rejects()
    for name, later in (("half.png", b"half and half"), ("other.png", b"all else but this")):
        stamp = world.judged(name, b"half")
        kept.put_by(name, stamp)
        put(world.camera / name, later)
        kept.withdraw(name, stamp)
    assert world.there() == {"other.png": b"half"}


def test_picture_that_another_one_replaced_stays(world):
    stamp = world.judged("a.png", b"part 1")
    kept = world.rejects()
    kept.put_by("a.png", stamp)
    put(world.camera / "new.png", b"part 2")
    (world.camera / "new.png").replace(world.camera / "a.png")
    kept.withdraw("a.png", stamp)
    assert world.there() == {"a.png": b"part 1"}


def test_link_that_cannot_be_removed_is_said(world, monkeypatch, capfd):
    stamp = world.judged("a.png")
    kept = world.rejects()
    kept.put_by("a.png", stamp)
    monkeypatch.setattr(os, "unlink", lambda *_: raise_(PermissionError(13, "Permission denied")))
    kept.withdraw("a.png", stamp)
    assert "rejects/a.png is out of date and stays: Permission denied" in capfd.readouterr().err


def test_record_of_what_waits_may_be_cut_off(world):
    world.folder.touch()
    states = {name: world.judged(name) for name in ("a.png", "b.png")}
    world.rejects().put_by("a.png", states["a.png"])
    record = world.journal.beside(".waiting")
    with record.open("ab") as lines:
        lines.write(b'{"path": "c.p')
    world.rejects().put_by("b.png", states["b.png"])
    world.folder.unlink()
    world.rejects().again()
    assert set(world.there()) == {"a.png", "b.png"}


def test_what_waits_is_on_record_once_however_often_it_fails(world):
    world.folder.touch()
    stamp = world.judged("a.png")
    for _ in range(3):
        world.rejects().put_by("a.png", stamp)
    assert len(world.journal.beside(".waiting").read_text().splitlines()) == 1
