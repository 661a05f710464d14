"""The file of JSON lines in which `onegauge watch` has what was found: its memory, too."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from onegauge.client.calls import ClientError
from onegauge.client.json_lines import write_line
from onegauge.files import regular

BEGINNING = b'{"path": '  # of each line


class Stamp(NamedTuple):
    """What a file is known by: another size or time is another file."""

    size: int
    mtime_ns: int


class Line(NamedTuple):
    """What the last line of a path says."""

    path: str
    stamp: Stamp
    is_reject: bool  # anomalous, or without a decision
    is_final: bool  # else the file is tried again, and may get another line


class Journal:
    """The file, and the last line of each path."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._torn: int | None = None  # where a line begins that could not be written
        self._lines: dict[str, Line] = {}
        self.last: Line | None = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            for path, stamp, record in read_lines(file):
                self._remember(path, stamp, record)
        except OSError as exc:
            raise ClientError(f"cannot open {file}: {exc.strerror}") from exc

    def write(self, path: str, stamp: Stamp, record: dict[str, Any]) -> None:
        """Add a line that a crash after this does not undo; raises OSError and may be called again.

        A record with `retry` is not final.
        """
        line = {"path": path, **stamp._asdict(), **record}
        # opened anew each time: a share that went away takes its open files with it
        with self._file.open("ab", buffering=0) as output:
            end = output.seek(0, os.SEEK_END)
            if self._torn is not None and self._torn < end:
                end = output.truncate(self._torn)
            self._torn = end
            append(output.fileno(), line)
            self._torn = None
        self._remember(path, stamp, record)

    def beside(self, suffix: str) -> Path:
        """The path of a file that belongs to this one."""
        return self._file.with_name(self._file.name + suffix)

    def line_of(self, path: str) -> Line | None:
        """The last line of a path."""
        return self._lines.get(path)

    def knows(self, path: str, stamp: Stamp) -> bool:
        """Whether all is said about the file as it is now."""
        line = self._lines.get(path)
        return line is not None and line.is_final and line.stamp == stamp

    def _remember(self, path: str, stamp: Stamp, record: dict[str, Any]) -> None:
        self.last = Line(path, stamp, is_reject(record), not record.get("retry"))
        self._lines[path] = self.last


def is_reject(record: dict[str, Any]) -> bool:
    """Whether a file is anomalous, or got no decision."""
    return record.get("decision") != "normal"


def stamp_of(path: Path) -> Stamp | None:
    """What a file is known by, None where there is none; raises OSError."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Keep other runs from a journal, where system and share can; raises ClientError for another.

    It ends with the process, however that ends.
    """
    with ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            journal = stack.enter_context(open(file, "rb+", opener=regular))
        except OSError as exc:
            raise ClientError(f"cannot open {file}: {exc.strerror}") from exc
        with suppress(ImportError):  # of Windows
            _lock(journal)
        yield


def _lock(journal: IO[bytes]) -> None:
    from fcntl import LOCK_EX, LOCK_NB, flock

    try:
        flock(journal, LOCK_EX | LOCK_NB)
    except BlockingIOError as exc:
        hint = "end that, or give this one a journal of its own"
        raise ClientError(f"{journal.name} is used by another onegauge watch: {hint}") from exc
    except OSError:  # a share without locks
        pass


def read_lines(path: Path) -> Iterator[tuple[str, Stamp, dict[str, Any]]]:
    """Path, stamp and all of each line, as it was appended; a line that a crash cut off is removed.

    Raises OSError, and ClientError for other lines.
    """
    with open(path, "rb+", opener=regular) as file:
        for text in file:
            try:
                if _is_torn(text):
                    file.truncate(file.tell() - len(text))
                    return
                line = json.loads(text)
                yield line["path"], Stamp(line["size"], line["mtime_ns"]), line
            except (ValueError, KeyError, TypeError) as exc:
                raise ClientError(f"{path} was not written by onegauge watch: {exc!r}") from exc


def _is_torn(text: bytes) -> bool:
    """Whether it is the beginning of a line, or the zeros that a power failure leaves of one."""
    begun = text[: len(BEGINNING)].rstrip(b"\0")
    return not text.endswith(b"\n") and BEGINNING.startswith(begun)


def append(file: int, line: dict[str, Any]) -> None:
    """Write a line to the end of an open file, and to its disk; raises OSError, then it is gone."""
    end = os.lseek(file, 0, os.SEEK_END)
    try:
        write_line(file, line)
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, end)
        raise
