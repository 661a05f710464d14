import os
from pathlib import Path

import pytest

from service.journal import State, state_of
from service.pauses import Pauses
from service.rejects import Rejects

AT_ONCE = Pauses(0.0, 0.0)


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    (tmp_path / "camera").mkdir()
    return tmp_path / "camera"


def rejects(camera: Path, *, move: bool = False, pauses: Pauses = AT_ONCE) -> Rejects:
    """Of a folder `rejects` beside the camera's."""
    folder, waiting = camera.parent / "rejects", camera.parent / "found.jsonl.waiting"
    return Rejects(folder, camera, waiting, move=move, pauses=pauses)


def put(file: Path, data: bytes = b"picture") -> State:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    state = state_of(file)
    assert state is not None
    return state


def there(camera: Path) -> dict[str, bytes]:
    """What is among the rejects, hidden files too."""
    folder = camera.parent / "rejects"
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_picture_is_linked_once(camera):
    state = put(camera / "day" / "a.png")
    for _ in range(2):
        rejects(camera).put_by("day/a.png", state)
    assert there(camera) == {"day/a.png": b"picture"}
    assert (camera.parent / "rejects" / "day" / "a.png").samefile(camera / "day" / "a.png")


def test_picture_is_moved(camera):
    rejects(camera, move=True).put_by("a.png", put(camera / "a.png"))
    assert there(camera) == {"a.png": b"picture"}
    assert not (camera / "a.png").exists()


def test_move_goes_on_where_it_was_interrupted(camera):
    state = put(camera / "a.png")
    rejects(camera).put_by("a.png", state)  # linked, and not removed yet
    rejects(camera, move=True).put_by("a.png", state)
    assert there(camera) == {"a.png": b"picture"}
    assert not (camera / "a.png").exists()


def test_other_pictures_of_a_name_stay(camera):
    for number, move in enumerate((True, False)):
        data = f"picture {number}".encode()
        rejects(camera, move=move).put_by("a.png", put(camera / "a.png", data))
    assert sorted(there(camera).values()) == [b"picture 0", b"picture 1"]


def test_two_parts_that_look_the_same_are_two_pictures(camera):
    for time in (1, 2):
        put(camera / "a.png")
        os.utime(camera / "a.png", ns=(time, time))
        rejects(camera, move=True).put_by("a.png", state_of(camera / "a.png"))
    assert len(there(camera)) == 2


@pytest.mark.parametrize("move", [False, True])
def test_picture_that_has_changed_or_gone_is_left_alone(camera, move, capfd):
    state = put(camera / "a.png")
    put(camera / "a.png", b"another picture")
    rejects(camera, move=move).put_by("a.png", state)
    rejects(camera, move=move).put_by("gone.png", state)
    rejects(camera, move=move).put_by("a.png/gone.png", state)
    assert there(camera) == {}
    assert (camera / "a.png").exists()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("move", [False, True])
def test_what_is_linked_into_the_folder_is_put_by_and_not_the_link(camera, move):
    put(camera.parent / "share" / "a.png")
    (camera / "a.png").symlink_to("../share/a.png")
    rejects(camera, move=move).put_by("a.png", state_of(camera / "a.png"))
    assert there(camera) == {"a.png": b"picture"}
    assert not (camera.parent / "rejects" / "a.png").is_symlink()
    assert (camera / "a.png").is_symlink() != move
    assert (camera.parent / "share" / "a.png").exists()


def test_name_that_is_taken_or_too_long_gets_another(camera):
    put(camera.parent / "rejects" / "taken", b"a file")
    (camera.parent / "rejects" / "b.png").mkdir()
    names = ["taken/a.png", "taken/deep/a.png", "b.png", f"{'ü' * 125}.png"]
    kept = rejects(camera)
    put(camera.parent / "rejects" / names[3], b"another picture")
    for number, name in enumerate(names):
        kept.put_by(name, put(camera / name, f"{number}".encode()))
    found = there(camera)
    assert sorted(data for data in found.values() if len(data) == 1) == [b"0", b"1", b"2", b"3"]
    assert found["taken"] == b"a file"
    assert next(name for name, data in found.items() if data == b"0").startswith("taken_a.")
    for name in names:  # and no third one when they are put by again
        rejects(camera).put_by(name, state_of(camera / name))
    assert there(camera) == found


def test_folder_that_cannot_be_written_is_said_once_and_tried_again(camera, capfd):
    folder = camera.parent / "rejects"
    folder.touch()
    kept = rejects(camera)
    for name in ("a.png", "b.png"):
        kept.put_by(name, put(camera / name))
        kept.again()
    assert capfd.readouterr().err.count(f"rejects wait: {folder}") == 1
    folder.unlink()
    kept.again()
    assert set(there(camera)) == {"a.png", "b.png"}
    assert capfd.readouterr().err == "onegauge: all rejects are put by\n"


def test_what_waits_is_put_by_after_a_start(camera):
    folder = camera.parent / "rejects"
    folder.touch()
    for name in ("a.png", "b.png"):
        rejects(camera).put_by(name, put(camera / name))
    folder.unlink()
    rejects(camera).again()
    assert set(there(camera)) == {"a.png", "b.png"}
    (folder / "a.png").unlink()  # by who has looked at it
    rejects(camera).again()
    assert set(there(camera)) == {"b.png"}


def test_one_that_fails_does_not_hold_up_the_others(camera):
    folder = camera.parent / "rejects"
    folder.touch()
    kept = rejects(camera)
    # linked into the folder from where nothing can be read, and hard links cannot lead
    (camera / "bad.png").symlink_to("/proc/self/mem")
    for name in ("bad.png", "b.png", "c.png"):
        kept.put_by(name, state_of(camera / name) or put(camera / name))
    folder.unlink()
    for _ in range(3):
        kept.again()
    assert set(there(camera)) == {"b.png", "c.png"}


def test_pauses_between_tries_grow(camera):
    (camera.parent / "rejects").touch()
    kept = rejects(camera, pauses=Pauses(3600.0, 3600.0))
    kept.put_by("a.png", put(camera / "a.png"))
    (camera.parent / "rejects").unlink()
    kept.again()
    assert there(camera) == {}


def test_copy_is_whole_or_not_there(camera, monkeypatch):
    state = put(camera / "a.png")
    no_links(monkeypatch)
    kept = rejects(camera)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: raise_(OSError(28, "No space left on device")))
        kept.put_by("a.png", state)
        assert there(camera) == {}
    kept.again()
    assert there(camera) == {"a.png": b"picture"}
    assert (camera.parent / "rejects" / "a.png").stat().st_mtime_ns == state.mtime_ns
    rejects(camera).put_by("a.png", state)
    assert there(camera) == {"a.png": b"picture"}


def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system without hard links, which a test cannot have mounted."""
    monkeypatch.setattr(os, "link", lambda *_, **__: raise_(PermissionError(1, "not permitted")))


def raise_(exc: Exception) -> None:
    raise exc


def test_link_of_a_file_that_was_changed_in_its_place_is_withdrawn(camera):
    state = put(camera / "a.png", b"half")
    kept = rejects(camera)
    kept.put_by("a.png", state)
    put(camera / "a.png", b"half and half")
    kept.withdraw("a.png", state)
    assert there(camera) == {}


def test_link_that_got_another_name_is_withdrawn_too(camera):
    put(camera.parent / "rejects" / "a.png", b"another picture")
    state = put(camera / "a.png", b"half")
    kept = rejects(camera)
    kept.put_by("a.png", state)
    assert len(there(camera)) == 2
    put(camera / "a.png", b"half and half")
    kept.withdraw("a.png", state)
    assert there(camera) == {"a.png": b"another picture"}


def test_copy_of_half_a_picture_is_withdrawn_and_of_another_one_stays(camera, monkeypatch):
    no_links(monkeypatch)
    kept = rejects(camera)
    for name, later in (("half.png", b"half and half"), ("other.png", b"all else but this")):
        state = put(camera / name, b"half")
        kept.put_by(name, state)
        put(camera / name, later)
        kept.withdraw(name, state)
    assert there(camera) == {"other.png": b"half"}


def test_picture_that_another_one_replaced_stays(camera):
    state = put(camera / "a.png", b"part 1")
    kept = rejects(camera)
    kept.put_by("a.png", state)
    put(camera / "new.png", b"part 2")
    (camera / "new.png").replace(camera / "a.png")
    kept.withdraw("a.png", state)
    assert there(camera) == {"a.png": b"part 1"}


def test_link_that_cannot_be_removed_is_said(camera, monkeypatch, capfd):
    state = put(camera / "a.png")
    kept = rejects(camera)
    kept.put_by("a.png", state)
    monkeypatch.setattr(os, "unlink", lambda *_: raise_(PermissionError(13, "Permission denied")))
    kept.withdraw("a.png", state)
    assert "rejects/a.png is out of date and stays: Permission denied" in capfd.readouterr().err
