"""Inspections as a table for other programs: CSV, JSON lines or Parquet."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from io import TextIOWrapper
from itertools import islice
from typing import Any, BinaryIO, Literal, TypeAlias

from sqlalchemy import JSON, Boolean, Float, Integer

from onegauge.records.errors import RecordsError
from onegauge.records.history import Found
from onegauge.records.tables import Moment, inspections

Format: TypeAlias = Literal["csv", "jsonl", "parquet"]
Row: TypeAlias = dict[str, Any]

COLUMNS = tuple(column.name for column in inspections.columns if column.name != "folded")
BATCH = 10_000  # rows that Parquet packs together
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def write(found: Iterable[Found], file: BinaryIO, form: Format) -> int:
    """Write a row an inspection, and say how many; raises RecordsError where Parquet is missing.

    Regions, references and timings are JSON in a cell of CSV and Parquet. In CSV a text that a
    spreadsheet would take for a formula has an apostrophe before it.
    """
    writers: dict[Format, Callable[[Iterator[Row], BinaryIO], int]] = {
        "csv": _write_csv,
        "jsonl": _write_jsonl,
        "parquet": _write_parquet,
    }
    return writers[form]((_row(one) for one in found), file)


def _row(found: Found) -> Row:
    row = {**vars(found), **vars(found.record), "margin": found.record.margin}
    return {name: row[name] for name in COLUMNS}


def _write_csv(rows: Iterator[Row], file: BinaryIO) -> int:
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    writer, count = csv.writer(text), 0
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(value) for value in _flat(row).values()])
        count += 1
    text.detach()
    return count


def _write_jsonl(rows: Iterator[Row], file: BinaryIO) -> int:
    count = 0
    for row in rows:
        line = json.dumps({**row, "time": row["time"].isoformat()}, ensure_ascii=False)
        file.write(f"{line}\n".encode())
        count += 1
    return count


def _write_parquet(rows: Iterator[Row], file: BinaryIO) -> int:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ModuleNotFoundError as exc:
        raise RecordsError(f"{exc.name} is missing: pip install 'onegauge[parquet]'") from exc
    kinds = [
        (Moment, pyarrow.timestamp("us", tz="UTC")),
        (Boolean, pyarrow.bool_()),
        (Float, pyarrow.float64()),
        (Integer, pyarrow.int32()),
        (object, pyarrow.string()),
    ]
    schema = pyarrow.schema(
        (column.name, next(kind for of, kind in kinds if isinstance(column.type, of)))
        for column in inspections.columns
        if column.name in COLUMNS
    )
    count = 0
    with ParquetWriter(file, schema) as writer:
        while batch := [_flat(row) for row in islice(rows, BATCH)]:
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))
            count += len(batch)
    return count


def _flat(row: Row) -> Row:
    """A row whose lists and objects are texts."""
    nested = [c.name for c in inspections.columns if isinstance(c.type, JSON)]
    return {**row, **{name: json.dumps(row[name], ensure_ascii=False) for name in nested}}


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value
