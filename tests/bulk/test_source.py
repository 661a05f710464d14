import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onegauge.bulk.errors import BulkError
from onegauge.bulk.output import Done
from onegauge.bulk.source import paths_below


@pytest.fixture
def parts(tmp_path):
    """Two images, one of them hidden, and one in a folder below."""
    (tmp_path / "parts" / "below").mkdir(parents=True)
    for name in ("a.png", ".b.png", "below/c.PNG", "below/notes.txt"):
        (tmp_path / "parts" / name).touch()
    return tmp_path / "parts"


def found(source, done=Done()) -> list[str]:  # noqa: B008
    return sorted(map(os.fsdecode, paths_below(str(source), done)["path"].to_pylist()))


def test_images_below_a_folder_have_absolute_paths(parts, monkeypatch):
    expected = [str(parts / "a.png"), str(parts / "below" / "c.PNG")]
    monkeypatch.chdir(parts.parent)
    for source in (parts, "parts", f"file://{parts}", parts / "below" / ".."):
        assert found(source) == expected
    assert found("parts", Done([[expected[0]]])) == expected[1:]
    assert found("parts", Done([expected])) == []


def test_a_glob_takes_the_files_that_it_names(parts):
    assert found(f"{parts}/**/*.txt") == [str(parts / "below" / "notes.txt")]
    assert found(f"{parts}/*") == [str(parts / "a.png")]


def test_a_name_like_a_glob_is_a_name_where_there_is_such_a_file(tmp_path):
    (tmp_path / "a[1].png").touch()
    assert found(tmp_path / "a[1].png") == [str(tmp_path / "a[1].png")]


def test_a_list_gives_each_path_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = ["/parts/a.png", "b.png", "s3://bucket/c.png", "/parts/a.png", "file:///parts/a.png"]
    pq.write_table(pa.table({"path": paths}), "list.parquet")
    expected = ["/parts/a.png", str(tmp_path / "b.png"), "s3://bucket/c.png"]
    assert found("list.parquet") == sorted(expected)


def test_a_name_that_is_no_text_is_listed(tmp_path):
    name = os.fsdecode(b"\xff.png")
    (tmp_path / name).touch()
    assert found(tmp_path) == [str(tmp_path / name)]
    assert found(tmp_path, Done([[f"{tmp_path}/\\udcff.png"]])) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pa.table({"file": ["a.png"]}), "no Parquet file with a column path"),
        (pa.table({"path": [1.5]}), "a column path of double, and not of text"),
        (pa.table({"path": pa.array(["a.png", None])}), "1 rows without a path"),
        (None, "no Parquet file with a column path"),
    ],
)
def test_a_list_without_paths_is_refused(content, message, tmp_path):
    if content is None:
        (tmp_path / "list.parquet").write_text("a.png")
    else:
        pq.write_table(content, tmp_path / "list.parquet")
    with pytest.raises(BulkError, match=message):
        found(tmp_path / "list.parquet")


@pytest.mark.parametrize("source", ["absent", "absent/*.png", "unknown://parts"])
def test_no_images_are_an_error(source, tmp_path):
    with pytest.raises(BulkError, match=source.replace("*", r"\*")):
        found(source if "//" in source else tmp_path / source)
