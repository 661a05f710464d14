import os
from pathlib import Path

import pytest

from onegauge.files import images_below, is_image, names_below, read_file


def files_below(folder: Path) -> list[Path]:
    return [name for name, is_file in names_below(folder) if is_file]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def put(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_images_are_told_by_suffix_in_any_case(folder):
    names = ["a.jpg", "b.JPEG", "c.jfif", "d.Jpe", "e.png", "f.TIF", "g.tiff", "h.webp", "i.dib"]
    put(*(folder / name for name in names), folder / "notes.txt", folder / "k.pgm")
    assert sorted(images_below(folder)) == sorted(folder / name for name in names)


def test_what_is_hidden_is_no_image():
    hidden = (
        "._a.jpg",
        ".thumbnails/a.jpg",
        "day/.b.png",
        "@eaDir/a.jpg",
        "$RECYCLE.BIN/S-1/a.jpg",
    )
    assert not any(is_image(Path(name)) for name in hidden)
    assert is_image(Path("day/a.b.jpg"))


def test_linked_folders_and_files_are_followed(folder, tmp_path):
    put(tmp_path / "share" / "day" / "a.png", tmp_path / "b.png")
    (folder / "linked").symlink_to(tmp_path / "share")
    (folder / "b.png").symlink_to(tmp_path / "b.png")
    assert set(files_below(folder)) == {Path("linked/day/a.png"), Path("b.png")}


def test_links_in_a_circle_end(folder):
    put(folder / "day" / "a.png")
    (folder / "day" / "again").symlink_to(folder)
    (folder / "day" / "self").symlink_to("self")
    assert files_below(folder) == [Path("day/a.png")]


def test_a_folder_that_is_linked_too_is_listed_once_by_its_own_name(folder):
    put(folder / "z" / "a.png")
    (folder / "a").symlink_to("z")
    (folder / "b").symlink_to("z")
    assert files_below(folder) == [Path("z/a.png")]


def test_links_to_nothing_and_pipes_are_no_files(folder):
    (folder / "gone.png").symlink_to(folder / "nothing.png")
    os.mkfifo(folder / "pipe.png")
    assert files_below(folder) == []


def test_what_is_no_file_is_named_all_the_same(folder):
    put(folder / "day" / "a.png")
    (folder / "day" / "gone.png").symlink_to("nothing.png")
    os.mkfifo(folder / "pipe.png")
    assert sorted(names_below(folder)) == [
        (Path("day/a.png"), True),
        (Path("day/gone.png"), False),
        (Path("pipe.png"), False),
    ]


def test_a_folder_that_cannot_be_read_is_not_passed_over(folder):
    with pytest.raises(FileNotFoundError):
        files_below(folder / "gone")


def test_what_cannot_be_listed_is_told_and_the_rest_is_found(folder, monkeypatch):
    put(folder / "locked" / "a.png", folder / "open" / "b.png")
    scan, told = os.scandir, []

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert list(images_below(folder, told.append)) == [folder / "open" / "b.png"]
    assert [exc.filename for exc in told] == [str(folder / "locked")]
    with pytest.raises(PermissionError):
        list(images_below(folder))


def test_only_regular_files_are_read_and_a_pipe_is_not_awaited(folder):
    put(folder / "a.png")
    assert read_file(folder / "a.png") == b""
    os.mkfifo(folder / "pipe.png")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "folder.png").mkdir()
    for name in ("pipe.png", "device.png", "folder.png", "gone.png"):
        with pytest.raises(OSError, match=name):
            read_file(folder / name)


def test_a_file_larger_than_the_memory_is_an_error_of_the_file(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(OSError, match="larger than the memory"):
        read_file(tmp_path / "huge.png")
