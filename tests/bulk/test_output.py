import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onegauge.bulk import output
from onegauge.bulk.errors import BulkError
from onegauge.bulk.output import Done, Output
from onegauge.bulk.row import not_had, refused, table
from onegauge.schemas import Options

UNSUPPORTED = {"type": "/problems/unsupported-image", "status": 415, "detail": "no image"}


def rows(*paths: str, problem: dict = UNSUPPORTED) -> pa.Table:
    return table([refused(path, problem, Options()) for path in paths])


def test_rows_wait_until_they_are_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "PART_ROWS", 3)
    out = Output(str(tmp_path), {})
    out.add(rows("a", "b"))
    assert list(tmp_path.iterdir()) == []
    out.add(rows("c"))
    assert len(list(tmp_path.iterdir())) == 1
    out.flush()
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(output, "PART_S", 0)
    out.add(rows("d"))
    assert len(list(tmp_path.iterdir())) == 2
    assert sorted(pq.read_table(tmp_path)["path"].to_pylist()) == ["a", "b", "c", "d"]
    assert out.counts == {"error": 4}


def test_what_is_there_is_done(tmp_path):
    first = Output(str(tmp_path), {"threshold": 1})
    first.add(rows("a"))
    first.add(rows("b", problem=not_had("the share is away")))
    first.flush()
    again = Output(str(tmp_path), {"threshold": 1})
    assert again.done.among(["a", "b", "c"]).tolist() == [True, False, False]
    assert again.counts == {"error": 1}
    assert pq.read_table(tmp_path)["path"].to_pylist() == ["a"]
    with pytest.raises(BulkError, match=r'"threshold": 1.* not \{"threshold": 2\}: give another'):
        Output(str(tmp_path), {"threshold": 2})


def test_foreign_and_damaged_files_are_refused(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(BulkError, match=r"a.parquet .*by something else"):
        Output(str(tmp_path), {})
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(BulkError, match=r"a.parquet is not of onegauge inspect, or damaged"):
        Output(str(tmp_path), {})


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BulkError, match=f"{tmp_path}/file"):
        Output(f"{tmp_path}/file/out", {})


def test_done_knows_each_path():
    done = Done([[f"{number}" for number in range(0, 2000, 2)], ["x"]])
    assert done.among(map(str, range(2000))).tolist() == [True, False] * 1000
    assert not Done().among(["x"]).any()
