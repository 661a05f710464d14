from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from rig.once import once


def test_of_many_at_once_one_makes_it_and_the_others_wait(tmp_path):
    begin, made = Barrier(8), []

    def make(draft: Path) -> None:
        draft.mkdir()
        made.append(draft)
        (draft / "file").write_text("whole")

    def ask(_: int) -> str:
        begin.wait()
        return (once(tmp_path / "cache" / "tool", make) / "file").read_text()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == ["whole"] * 8
    assert len(made) == 1


def test_what_was_made_in_part_is_not_there_and_made_anew(tmp_path):
    def fail(draft: Path) -> None:
        draft.mkdir()
        (draft / "file").write_text("half")
        raise RuntimeError("no network")

    folder = tmp_path / "tool"
    with pytest.raises(RuntimeError, match="no network"):
        once(folder, fail)
    assert not folder.exists()
    assert once(folder, Path.mkdir) == folder
    assert list(folder.iterdir()) == []
