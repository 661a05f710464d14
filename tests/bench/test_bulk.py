"""Bulk work beside the bare loop: each part of the benchmark is kept by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import bulk


def one_file(folder: Path) -> Iterator[Path]:
    """What stands for the rendered products."""
    folder.mkdir()
    (folder / "part.jpg").touch()
    return folder.iterdir()


def test_what_is_left_out_does_not_replace_figures_that_are_kept(monkeypatch, tmp_path):
    kept = {}
    monkeypatch.setattr(bulk, "keep", kept.__setitem__)
    monkeypatch.setattr(bulk, "_rendered", one_file)
    monkeypatch.chdir(tmp_path)
    bulk.main(images=0, listed=30, scaled=0)
    assert kept.keys() == {"listing for bulk"}
    assert kept["listing for bulk"]["files"] == 30
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["images", "scaled"])
def test_one_image_has_no_rate(part):
    with pytest.raises(SystemExit, match="One image"):
        bulk.main(**{"images": 0, "listed": 0, "scaled": 0, part: 1})
