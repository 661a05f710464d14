import os
from pathlib import Path

import pytest

from onegauge.client.watch.arrivals import Arrivals, Pace
from onegauge.client.watch.journal import Journal, stamp_of


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "found.jsonl")


@pytest.fixture
def camera(tmp_path):
    (tmp_path / "camera").mkdir()
    return tmp_path / "camera"


@pytest.fixture
def arrivals(camera, journal, clock):
    arrivals = Arrivals(camera, journal, None, Pace(), clock)
    yield arrivals
    arrivals.close()


@pytest.fixture
def told(camera, journal, clock):
    """Arrivals that all but the first listing leaves to the kernel to tell of."""
    arrivals = Arrivals(camera, journal, None, Pace(look_s=1e6), clock)
    yield arrivals
    arrivals.close()


def put(file: Path, data: bytes = b"picture") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def settled(arrivals: Arrivals, clock: Clock) -> set[str]:
    """What is due once it has had time to settle."""
    arrivals.due()
    clock.now += Pace().settled_s
    return {picture.name for picture in arrivals.due()}


def only(arrivals: Arrivals):
    (picture,) = arrivals.due()
    return picture


def test_files_are_due_once_they_have_settled(arrivals, camera, clock):
    put(camera / "day" / "a.png")
    put(camera / "notes.txt")
    put(camera / ".b.png")
    assert arrivals.due() == []
    clock.now += Pace().settled_s
    assert [picture.name for picture in arrivals.due()] == ["day/a.png"]


def test_file_that_changes_settles_anew(arrivals, camera, clock):
    put(camera / "a.png")
    arrivals.due()
    clock.now += 0.4
    put(camera / "a.png", b"a longer picture")
    arrivals.due()
    clock.now += 0.4
    assert arrivals.due() == []
    clock.now += 0.1
    assert arrivals.read(only(arrivals)) == b"a longer picture"


def test_what_is_done_is_not_due_until_it_changes(arrivals, camera, clock, journal):
    put(camera / "a.png")
    assert settled(arrivals, clock) == {"a.png"}
    picture = only(arrivals)
    journal.write(picture.name, picture.stamp, {"decision": "normal"})
    arrivals.drop(picture.name, picture.stamp)
    clock.now += 60
    assert settled(arrivals, clock) == set()
    put(camera / "a.png", b"another picture")
    assert settled(arrivals, clock) == {"a.png"}


def test_new_files_are_found_without_listing_all(told, camera, clock):
    told.due()
    for name in ("a.png", "day/b.png", "day/deep/c.png"):
        put(camera / name)
    put(camera.parent / "d.png")
    (camera.parent / "d.png").rename(camera / "d.png")
    (camera.parent / "night").mkdir()
    put(camera.parent / "night" / "e.png")
    (camera.parent / "night").rename(camera / "night")
    names = {"a.png", "day/b.png", "day/deep/c.png", "d.png", "night/e.png"}
    assert settled(told, clock) == names
    put(camera / "day" / "deep" / "f.png")
    assert settled(told, clock) == {*names, "day/deep/f.png"}


def test_what_the_kernel_does_not_tell_is_found_by_listing(camera, journal, clock, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "inotify_simple", None)
    arrivals = Arrivals(camera, journal, None, Pace(), clock)
    arrivals.due()
    put(camera / "day" / "a.png")
    clock.now += 60
    assert settled(arrivals, clock) == {"day/a.png"}


def test_listing_takes_a_small_share_of_a_core(camera, journal, clock, monkeypatch):
    costs = iter(range(0, 1000, 3))  # each listing takes 3 seconds of a core
    monkeypatch.setattr("time.process_time", lambda: float(next(costs)))
    monkeypatch.setitem(__import__("sys").modules, "inotify_simple", None)
    arrivals = Arrivals(camera, journal, None, Pace(listing_share=0.02), clock)
    arrivals.due()
    put(camera / "a.png")
    clock.now += 149
    assert settled(arrivals, clock) == set()
    clock.now += 1
    assert settled(arrivals, clock) == {"a.png"}


def test_linked_folders_are_followed_and_each_file_has_one_name(told, camera, clock):
    put(camera.parent / "share" / "a.png")
    put(camera / "day" / "b.png")
    (camera / "day" / "again").symlink_to(camera)
    (camera / "linked").symlink_to(camera.parent / "share")
    names = {"linked/a.png", "day/b.png"}
    assert settled(told, clock) == names
    put(camera.parent / "share" / "c.png")
    (camera.parent / "night").mkdir()
    put(camera.parent / "night" / "d.png")
    (camera.parent / "night" / "again").symlink_to(camera)
    (camera.parent / "night").rename(camera / "night")
    assert settled(told, clock) == {*names, "linked/c.png", "night/d.png"}
    clock.now += 1e6
    assert settled(told, clock) == {*names, "linked/c.png", "night/d.png"}


@pytest.mark.parametrize("inside", [True, False])
def test_rejects_are_not_looked_at_on_any_way(camera, journal, clock, inside):
    rejects = camera / "rejects" if inside else camera.parent / "rejects"
    put(rejects / "a.png")
    put(rejects / "deep" / "b.png")
    (camera / "linked").symlink_to(rejects / "deep")
    arrivals = Arrivals(camera, journal, rejects, Pace(), clock)
    assert settled(arrivals, clock) == set()
    put(rejects / "new" / "c.png")
    assert settled(arrivals, clock) == set()
    arrivals.close()


def test_file_that_its_format_calls_cut_off_has_longer(arrivals, camera, clock, normal):
    put(camera / "a.png", normal[:-4])
    settled(arrivals, clock)
    assert arrivals.read(only(arrivals)) is None
    clock.now += Pace().cut_off_s - 0.1
    assert arrivals.due() == []
    put(camera / "a.png", normal)
    assert settled(arrivals, clock) == {"a.png"}
    assert arrivals.read(only(arrivals)) == normal


def test_file_that_stays_cut_off_is_inspected_as_it_is(arrivals, camera, clock, normal):
    put(camera / "a.png", normal[:-4])
    settled(arrivals, clock)
    arrivals.read(only(arrivals))
    clock.now += Pace().cut_off_s
    assert arrivals.read(only(arrivals)) == normal[:-4]


def test_file_that_has_changed_since_it_settled_is_not_read(arrivals, camera, clock):
    put(camera / "a.png")
    settled(arrivals, clock)
    picture = only(arrivals)
    put(camera / "a.png", b"a longer picture")
    assert arrivals.read(picture) is None
    assert arrivals.due() == []
    assert settled(arrivals, clock) == {"a.png"}


def test_change_while_it_was_inspected_is_not_forgotten(arrivals, camera, clock, journal):
    put(camera / "a.png")
    settled(arrivals, clock)
    picture = only(arrivals)
    put(camera / "a.png", b"a longer picture")
    arrivals.due()
    journal.write(picture.name, picture.stamp, {"decision": "normal"})
    arrivals.drop(picture.name, picture.stamp)
    clock.now += Pace().settled_s
    assert only(arrivals).stamp == stamp_of(camera / "a.png")


def test_file_that_goes_is_forgotten(arrivals, camera, clock):
    put(camera / "day" / "a.png")
    settled(arrivals, clock)
    picture = only(arrivals)
    (camera / "day" / "a.png").unlink()
    (camera / "day").rmdir()
    put(camera / "day")
    assert arrivals.read(picture) is None
    assert settled(arrivals, clock) == set()


def test_pipe_in_the_place_of_a_file_is_not_awaited(arrivals, camera, clock, capfd):
    put(camera / "a.png")
    settled(arrivals, clock)
    picture = only(arrivals)
    (camera / "a.png").unlink()
    os.mkfifo(camera / "a.png")
    assert arrivals.read(picture) is None
    assert "a.png waits: it is not a regular file" in capfd.readouterr().err
    assert settled(arrivals, clock) == set()


def test_file_that_cannot_be_read_is_said_once_and_tried_again(arrivals, camera, clock, capfd):
    (camera / "a.png").symlink_to("/proc/self/mem")
    settled(arrivals, clock)
    for _ in range(3):
        assert arrivals.read(only(arrivals)) is None
        assert arrivals.due() == []
        clock.now += 5
    assert capfd.readouterr().err.count("a.png waits: ") == 1
    (camera / "a.png").unlink()
    put(camera / "a.png")
    settled(arrivals, clock)
    assert arrivals.read(only(arrivals)) == b"picture"


def test_folder_that_cannot_be_listed_is_said_once_and_hides_no_other(
    arrivals, camera, clock, monkeypatch, capfd
):
    put(camera / "bad" / "a.png")
    put(camera / "good" / "b.png")
    scan = os.scandir

    def scandir(path):
        if Path(path).name == "bad":
            raise OSError(116, "Stale file handle", str(path))
        return scan(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        for _ in range(2):
            assert settled(arrivals, clock) == {"good/b.png"}
            clock.now += 60
    assert capfd.readouterr().err.count("bad cannot be listed and is tried again: Stale") == 1
    assert settled(arrivals, clock) == {"bad/a.png", "good/b.png"}


def test_folder_that_goes_while_it_is_listed_is_not_said(
    arrivals, camera, clock, monkeypatch, capfd
):
    put(camera / "day" / "a.png")
    scan = os.scandir

    def scandir(path):
        if Path(path).name == "day":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert settled(arrivals, clock) == set()
    assert capfd.readouterr().err == ""


def test_folder_that_goes_away_comes_back(arrivals, camera, clock, capfd):
    put(camera / "a.png")
    camera.rename(camera.parent / "unmounted")
    assert settled(arrivals, clock) == set()
    assert "camera cannot be listed and is tried again: No such file" in capfd.readouterr().err
    (camera.parent / "unmounted").rename(camera)
    clock.now += 60
    assert settled(arrivals, clock) == {"a.png"}


def test_errors_of_single_files_are_passed_over(arrivals, camera, clock, monkeypatch):
    put(camera / "a.png")
    put(camera / "b.png")
    look = os.stat

    def stat(path, *args, **options):
        if str(path).endswith("a.png"):
            raise OSError(112, "Host is down", str(path))
        return look(path, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", stat)
        assert settled(arrivals, clock) == {"b.png"}
    clock.now += 60
    assert settled(arrivals, clock) == {"a.png", "b.png"}
