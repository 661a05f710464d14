"""Which images: those below a folder or a prefix, of a glob, or of a Parquet file of paths."""

import os
from collections.abc import Iterable, Iterator
from glob import has_magic, iglob
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from onegauge.bulk.errors import BulkError
from onegauge.bulk.output import Done
from onegauge.bulk.places import file_system, local_path, protocol_of, told
from onegauge.client.calls import readable
from onegauge.files import images_among, images_below

PATH, LIST = "path", ".parquet"
AT_ONCE = 10_000  # paths that are objects of Python at a time


def paths_below(source: str, done: Done) -> pa.Table:
    """The paths of the images, as bytes in a column, but for those that are done; raises BulkError.

    Those of this machine are absolute. A folder that cannot be listed is among them, to have its
    problem as an image has.
    """
    column: list[pa.Array] = []
    listed = 0
    coming = iter(_listed(source))
    while some := list(islice(coming, AT_ONCE)):
        listed += len(some)
        names = [readable(path) for path in some]
        open_ = [path for path, is_done in zip(some, done.among(names), strict=True) if not is_done]
        column.append(pa.array(map(os.fsencode, open_), pa.binary()))
    if not listed:
        raise BulkError(f"no images in {source}")
    return pa.table({PATH: pa.chunked_array(column, pa.binary())})


def _listed(source: str) -> Iterable[str]:
    path = local_path(source)
    return _elsewhere(source) if path is None else _here(source, path)


def _here(source: str, path: str) -> Iterable[str]:
    if os.path.isdir(path):
        return _below(Path(path))
    if os.path.exists(path):
        return _of_list(path) if path.endswith(LIST) else [path]
    if has_magic(path):
        return filter(os.path.isfile, iglob(path, recursive=True))
    raise BulkError(f"{source}: no such file or folder")


def _below(folder: Path) -> Iterator[str]:
    unlisted: list[OSError] = []
    yield from map(str, images_below(folder, unlisted.append))
    yield from (str(exc.filename) for exc in unlisted)


def _elsewhere(source: str) -> Iterator[str]:
    system, path = file_system(source)
    protocol = protocol_of(source)
    with told(source):
        if system.isfile(path):
            found: Iterable[str] = [path]
            if path.endswith(LIST):
                yield from _of_list(source)
                return
        elif has_magic(path):
            matched = system.glob(path)  # hidden files, too, which a glob leaves out here
            found = (name for name in matched if not PurePosixPath(name).name.startswith("."))
        else:
            found = _walked(system, path)
        yield from (f"{protocol}://{name}" for name in found)


def _walked(system: Any, root: str) -> Iterator[str]:
    for here, _, files in system.walk(root, on_error="raise"):
        inside = PurePosixPath(here).relative_to(root)
        yield from (f"{here}/{name}" for name in images_among(Path(inside), files))
        system.invalidate_cache()  # which would have all of them in memory in the end


def _of_list(place: str) -> Iterator[str]:
    """The paths of a Parquet file, each once; raises BulkError."""
    system, path = file_system(place)
    try:
        with told(place), system.open(path) as file:
            column = pq.read_table(file, columns=[PATH])[PATH]
    except (pa.ArrowInvalid, KeyError) as exc:
        raise BulkError(f"{place} is no Parquet file with a column {PATH}: {exc}") from exc
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        raise BulkError(f"{place} has a column {PATH} of {column.type}, and not of text")
    if column.null_count:
        raise BulkError(f"{place} has {column.null_count} rows without a {PATH}")
    given = (scalar.as_py() for scalar in column)
    for scalar in pc.unique(pa.array((local_path(one) or one for one in given), pa.string())):
        yield scalar.as_py()
