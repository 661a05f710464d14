"""Inspections as tables that other programs read."""

import csv
import json
import sys
from io import BytesIO, StringIO

import pytest
from pyarrow.parquet import read_table

from onegauge.records.errors import RecordsError
from onegauge.records.export import BATCH, COLUMNS, write
from onegauge.records.history import Found
from tests.records.made import FIRST, record

FOUND = [
    Found(record(0, score=0.875), "false_alarm"),
    Found(record(1, part='"a, b";\nÄ', line=None, threshold=None), None),
    Found(record(2, part="=1+1", filename="-cmd.png", score=-0.5), None),
]


def written(form, found=FOUND) -> bytes:
    file = BytesIO()
    assert write(iter(found), file, form) == len(found)
    return file.getvalue()


def test_csv_has_a_line_an_inspection():
    rows = list(csv.DictReader(StringIO(written("csv").decode(), newline="")))
    assert [row["part"] for row in rows] == ["part-0", '"a, b";\nÄ', "'=1+1"]
    first, second, third = rows
    assert tuple(first) == COLUMNS
    assert (first["time"], first["verdict"]) == (FIRST.isoformat(), "false_alarm")
    assert (float(first["score"]), float(first["margin"])) == (0.875, 0.125)
    assert json.loads(first["regions"]) == FOUND[0].record.regions
    assert (second["line"], second["threshold"], second["verdict"]) == ("", "", "")
    assert (third["filename"], third["score"]) == ("'-cmd.png", "-0.5")


def test_json_lines_have_an_object_an_inspection():
    rows = [json.loads(line) for line in written("jsonl").decode().splitlines()]
    assert [row["part"] for row in rows] == [found.record.part for found in FOUND]
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["regions"] == FOUND[0].record.regions
    assert rows[0]["timing_ms"] == FOUND[0].record.timing_ms
    assert rows[1]["line"] is rows[1]["verdict"] is None


def test_parquet_has_columns_of_their_kinds():
    table = read_table(BytesIO(written("parquet")))
    assert tuple(table.column_names) == COLUMNS
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["time"] == "timestamp[us, tz=UTC]"
    assert (kinds["score"], kinds["unknown_product"], kinds["width"]) == ("double", "bool", "int32")
    first, second, third = table.to_pylist()
    assert first["time"] == FIRST
    assert json.loads(first["references"]) == FOUND[0].record.references
    assert (second["part"], second["threshold"]) == ('"a, b";\nÄ', None)
    assert third["part"] == "=1+1"


def test_nothing_is_a_table_without_rows():
    assert written("csv", []).decode().split("\r\n") == [",".join(COLUMNS), ""]
    assert written("jsonl", []) == b""
    assert tuple(read_table(BytesIO(written("parquet", []))).column_names) == COLUMNS


def test_more_than_parquet_packs_together_is_written_whole():
    found = [FOUND[0]] * (BATCH + 1)
    assert read_table(BytesIO(written("parquet", found))).num_rows == BATCH + 1


def test_parquet_needs_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RecordsError, match=r"pip install 'onegauge\[parquet\]'"):
        write(iter(FOUND), BytesIO(), "parquet")
