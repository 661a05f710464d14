"""What was found, in Parquet files of many rows, and which images are done already.

20261201T060000Z-3fa9c1-00000.parquet    each file is whole: it gets its name when it is written
20261201T060000Z-3fa9c1-00001.parquet
"""

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from io import BytesIO
from time import monotonic
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from onegauge.bulk.errors import BulkError
from onegauge.bulk.places import Folder
from onegauge.bulk.row import NOT_OF_THE_IMAGE, SCHEMA

PART_ROWS, PART_BYTES, PART_S = 100_000, 64 * 2**20, 30.0  # at which a file is written
ASKED = b"onegauge"  # key of a file's metadata
_DIGEST_BYTES = 16


class Done:
    """Paths that have their rows: 16 bytes of memory each."""

    def __init__(self, files: Iterable[Iterable[str]] = ()) -> None:
        """Of the rows of files."""
        self._digests = np.sort(np.concatenate([_digests(()), *map(_digests, files)]))

    def among(self, paths: Iterable[str]) -> NDArray[np.bool_]:
        """Which of some paths (N,) are done."""
        digests, last = _digests(paths), len(self._digests) - 1
        if last < 0:
            return np.zeros(len(digests), bool)
        places = np.searchsorted(self._digests, digests).clip(max=last)
        found: NDArray[np.bool_] = self._digests[places] == digests
        return found


def _digests(paths: Iterable[str]) -> NDArray[np.bytes_]:
    told = (blake2b(path.encode(), digest_size=_DIGEST_BYTES).digest() for path in paths)
    return np.array(list(told), f"S{_DIGEST_BYTES}")


class Output:
    """A folder of Parquet files, for rows that were `asked` for in one way alone.

    Each method raises BulkError.
    """

    def __init__(self, place: str, asked: Mapping[str, Any]) -> None:
        """Read what is there; rows of images that nothing is known of are dropped."""
        self._place = place
        self._schema = SCHEMA.with_metadata({ASKED: json.dumps(asked, sort_keys=True)})
        self._folder = Folder(place)
        self._run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self._number = 0
        self._waiting: list[pa.Table] = []
        self._since = monotonic()
        self.counts: Counter[str] = Counter()
        self.done = Done(map(self._take, self._folder.names()))

    def add(self, rows: pa.Table) -> None:
        """Take rows, and write a file when there are enough of them, or the first has waited."""
        if not self._waiting:
            self._since = monotonic()
        self._waiting.append(rows)
        self.counts += counted(rows)
        enough = sum(part.num_rows for part in self._waiting) >= PART_ROWS
        large = sum(part.nbytes for part in self._waiting) >= PART_BYTES
        if enough or large or monotonic() - self._since >= PART_S:
            self.flush()

    def flush(self) -> None:
        """Write what waits; after a Ctrl-C in the middle the same file is written again."""
        if self._waiting:
            rows = pa.concat_tables(self._waiting)
            self._write(f"{self._run}-{self._number:05d}.parquet", rows)
            self._waiting = []
            self._number += 1

    def _write(self, name: str, rows: pa.Table) -> None:
        file = BytesIO()
        pq.write_table(rows.cast(self._schema), file, compression="zstd")
        self._folder.write(name, file.getvalue())

    def _take(self, name: str) -> list[str]:
        """The paths of a file of an earlier run, whose rows are counted."""
        try:
            file = pq.ParquetFile(BytesIO(self._folder.read(name)))
            self._check(name, file.schema_arrow)
            rows = file.read(columns=["path", "decision", "unknown_product", "problem"])
            open_ = pc.equal(pc.struct_field(rows["problem"], "type"), NOT_OF_THE_IMAGE)
            if pc.any(open_).as_py():
                keep = pc.invert(pc.fill_null(open_, False))
                self._write(name, file.read().filter(keep))
                rows = rows.filter(keep)
        except (pa.ArrowInvalid, pa.ArrowKeyError) as exc:
            raise BulkError(
                f"{self._place}/{name} is not of onegauge inspect, or damaged: {exc}"
            ) from exc
        self.counts += counted(rows)
        paths: list[str] = rows["path"].to_pylist()
        return paths

    def _check(self, name: str, schema: pa.Schema) -> None:
        mine, theirs = self._schema.metadata[ASKED], (schema.metadata or {}).get(ASKED)
        if theirs != mine:
            raise BulkError(
                f"{self._place}/{name} was not asked for in this way, but "
                f"{(theirs or b'by something else').decode()}, and not {mine.decode()}: "
                "give another --output"
            )


def counted(rows: pa.Table) -> Counter[str]:
    """How many rows have which decision, `error` without one, and how many an `unknown` product."""
    decisions = pc.value_counts(pc.fill_null(rows["decision"], "error")).to_pylist()
    unknown = pc.sum(rows["unknown_product"]).as_py() or 0
    return Counter({d["values"]: d["counts"] for d in decisions}) + Counter(unknown=unknown)
