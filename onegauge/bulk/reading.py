"""The first stage: files → their bytes, and their pixels as the model takes them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

from onegauge.bulk.batch import Batch, empty, note
from onegauge.bulk.places import LOCAL, file_system, protocol_of
from onegauge.bulk.row import not_had
from onegauge.files import read_file
from onegauge.service.errors import ImageError
from onegauge.service.imaging.image import InputImage
from onegauge.service.inspection.inquiry import Upload
from onegauge.service.inspection.pictures import read_picture
from onegauge.service.model.contract import Contract

FETCHED_AT_ONCE = 16  # files of a bucket, each of which takes its time


@dataclass(frozen=True)
class Reading:
    """What is wanted of files: pixels for a contract or for none, and whether their bytes, too."""

    contract: Contract | None
    keeps_bytes: bool
    max_bytes: int
    max_pixels: int


def read(paths: Sequence[bytes], wanted: Reading) -> Batch:
    """Read a batch of files; one that cannot be used has its problem."""
    batch = empty(paths, wanted.contract)
    for row, content in enumerate(_contents(map(os.fsdecode, paths))):
        if isinstance(content, Exception):
            note(batch, row, not_had(f"cannot be read: {_reason(content)}"))
            continue
        try:
            _take(batch, row, content, wanted)
        except ImageError as problem:
            note(batch, row, problem.details())
    return batch


def _take(batch: Batch, row: int, content: bytes, wanted: Reading) -> None:
    """Fill a row; raises ImageError."""
    upload = Upload(None, wanted.max_bytes)
    upload.write(content)
    data = upload.read()
    if wanted.keeps_bytes:
        batch["data"][row] = data
    if wanted.contract:
        image = read_picture(data, wanted.contract, wanted.max_pixels)
        assert isinstance(image, InputImage)
        batch["size"][row] = image.width, image.height
        batch["pixels"][row] = image.pixels


def _contents(names: Iterable[str]) -> Iterator[bytes | Exception]:
    """What is in files, or why that cannot be told."""
    for protocol, some in groupby(names, protocol_of):
        if protocol == LOCAL:
            yield from map(_file, some)
        else:
            while few := list(islice(some, FETCHED_AT_ONCE)):
                yield from _fetched(few)


def _file(name: str) -> bytes | Exception:
    try:
        return read_file(Path(name))
    except OSError as exc:
        return exc


def _fetched(names: list[str]) -> list[bytes | Exception]:
    """Files of one bucket or the like, which are fetched beside each other."""
    system, _ = file_system(names[0])
    stripped = [system._strip_protocol(name) for name in names]
    found: list[bytes | Exception] = system.cat_ranges(stripped, None, None, on_error="return")
    return found


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
