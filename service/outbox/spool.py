"""What could not be written yet, on disk: segments of JSON lines, each written once, read once.

A segment is a file of its own, renamed into its place when it is whole, so that a process that is
killed leaves no part of one, and several processes may share a folder. Each line begins with its
checksum.
"""

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

SUFFIX, DRAFT = ".jsonl", ".draft"
ABANDONED_S = 60.0
_MILLISECONDS = 13  # decimal digits that a name begins with
_CHECKSUM = 8  # hexadecimal digits before the space that a line begins with


@dataclass(frozen=True)
class Segment:
    """The entries of a segment, the file that they are in, and how many lines were damaged."""

    file: Path
    entries: list[dict[str, Any]]
    damaged: int


class Spool:
    """A folder of segments of at most `max_bytes` in all; not for several threads at once.

    Every method raises OSError where the disk is full or gone.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self.max_bytes = max_bytes
        # bytes of each segment by its name, the oldest first: there may be very many
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._size = 0
        self._first: str | None = None

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return self._size

    @property
    def oldest(self) -> float | None:
        """When the oldest segment was written, in seconds since 1970; None where there is none."""
        stamp = (self._first or "")[:_MILLISECONDS]
        return int(stamp) / 1000 if stamp.isdecimal() else None

    def look(self) -> None:
        """Take over what an earlier process has left."""
        if not self._folder.is_dir():
            return
        for file in sorted(self._folder.glob(f"*{SUFFIX}")):
            with suppress(FileNotFoundError):  # another process of this folder was sooner
                self._note(file, file.stat().st_size)
        for draft in self._folder.glob(f"*{DRAFT}"):
            with suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > ABANDONED_S:  # of one that was killed
                    draft.unlink()

    def add(self, entries: Sequence[dict[str, Any]]) -> Segment:
        """Keep entries, as many of the first as there is room for: those of the segment."""
        lines: list[bytes] = []
        left = self.max_bytes - self.size
        for entry in entries:
            line = _line(entry)
            if len(line) > left:
                break
            lines.append(line)
            left -= len(line)
        file = self._new()
        if lines:
            self._put(file, b"".join(lines))
        return Segment(file, list(entries[: len(lines)]), 0)

    def first(self) -> Segment | None:
        """The oldest segment, None where there is none; one that is gone is passed over."""
        while self._first is not None:
            file = self._folder / self._first
            try:
                lines = file.read_bytes().splitlines()
            except FileNotFoundError:  # another process of this folder was sooner
                self._note(file, None)
                continue
            entries = list(_whole(lines))
            return Segment(file, entries, len(lines) - len(entries))
        return None

    def drop(self, segment: Segment) -> None:
        """Forget a segment, whose entries are elsewhere now."""
        segment.file.unlink(missing_ok=True)
        self._note(segment.file, None)

    def cut(self, segment: Segment, count: int) -> None:
        """Forget the first entries of a segment, which keeps its place."""
        if rest := segment.entries[count:]:
            self._put(segment.file, b"".join(map(_line, rest)))
        else:
            self.drop(segment)

    def _new(self) -> Path:
        """A file that sorts after all others."""
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        name = f"{milliseconds:0{_MILLISECONDS}d}-{rest:06d}-{secrets.token_hex(4)}{SUFFIX}"
        return self._folder / name

    def _put(self, file: Path, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(DRAFT)
        try:
            draft.write_bytes(data)
            draft.rename(file)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
        self._note(file, len(data))

    def _note(self, file: Path, size: int | None) -> None:
        """Count a segment with its bytes, or none that has gone."""
        self._size += (size or 0) - self._sizes.get(file.name, 0)
        if size is None:
            self._sizes.pop(file.name, None)
        else:
            self._sizes[file.name] = size
        self._first = next(iter(self._sizes), None)


def _line(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %b\n" % (crc32(text), text)


def _whole(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """The entries of the lines that are as they were written."""
    for line in lines:
        checksum, text = line[:_CHECKSUM], line[_CHECKSUM + 1 :]
        if checksum == b"%08x" % crc32(text):
            yield json.loads(text)
