import sys
from pathlib import Path

import pytest

from onegauge.client.watch.changes import Changes

pytest.importorskip("inotify_simple")


@pytest.fixture
def changes():
    changes = Changes()
    yield changes
    changes.close()


def test_files_that_are_made_written_or_moved_in_are_told_by_their_folder(changes, tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere.png"
    folder.mkdir()
    elsewhere.touch()
    (folder / "old.png").touch()
    changes.watch(folder, Path("day"))
    assert changes.read() == (set(), set())
    (folder / "new.png").touch()
    (folder / "old.png").write_bytes(b"more")
    elsewhere.rename(folder / "moved.png")
    files, folders = changes.read()
    assert files == {(Path("day"), f"{name}.png") for name in ("new", "old", "moved")}
    assert folders == set()
    assert changes.read() == (set(), set())


def test_folders_that_come_have_to_be_listed(changes, tmp_path):
    changes.watch(tmp_path, Path())
    (tmp_path / "day").mkdir()
    assert changes.read() == (set(), {Path("day")})


def test_folder_that_got_another_name_is_told_by_that(changes, tmp_path):
    (tmp_path / "a").mkdir()
    changes.watch(tmp_path / "a", Path("a"))
    (tmp_path / "a").rename(tmp_path / "b")
    changes.watch(tmp_path / "b", Path("b"))
    (tmp_path / "b" / "x.png").touch()
    assert (Path("b"), "x.png") in changes.read()[0]


def test_folders_that_are_gone_do_no_harm(changes, tmp_path):
    changes.watch(tmp_path / "gone", Path("gone"))
    (tmp_path / "day").mkdir()
    changes.watch(tmp_path / "day", Path("day"))
    (tmp_path / "day").rmdir()
    assert changes.read() == (set(), set())


def test_more_than_the_kernel_keeps_means_that_all_have_to_be_listed(changes, tmp_path):
    kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    changes.watch(tmp_path, Path())
    for number in range(kept + 1):  # the same event twice in a row is one
        (tmp_path / f"{number % 2}").write_bytes(b"")
    assert Path() in changes.read()[1]


def test_where_the_kernel_tells_nothing_nothing_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "inotify_simple", None)
    changes = Changes()
    changes.watch(tmp_path, Path())
    (tmp_path / "a").touch()
    assert changes.read() == (set(), set())
    changes.close()
