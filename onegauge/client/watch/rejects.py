"""The folder in which `onegauge watch` puts by the images that are not normal.

Whatever is wrong with the folder, decisions go on: what could not be put by waits, on record in a
file of its own, and is tried again.
"""

import errno
import filecmp
import os
import re
import shutil
import tempfile
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from onegauge.client.watch.journal import Journal, Stamp, append, read_lines, stamp_of
from onegauge.files import read_file
from onegauge.pauses import Pauses, Trouble, say

PAUSES = Pauses(first_s=1.0, longest_s=30.0)
# The name is the matter, so that another one may do: it is taken, too long, or has strange letters
NAME_ERRORS = (
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EILSEQ,
)
KEPT_LETTERS = 60  # of a path that has to be shortened


class Rejects:
    """The folder, and what could not be put there yet."""

    def __init__(
        self, folder: Path, source: Path, journal: Journal, *, move: bool, pauses: Pauses = PAUSES
    ) -> None:
        self._folder = folder
        self._source = source
        self._journal = journal
        self._move = move
        self._file = journal.beside(".waiting")
        self._trouble = Trouble(pauses)
        self._waiting: deque[tuple[str, Stamp]] = deque()
        with suppress(FileNotFoundError):
            self._waiting.extend((path, stamp) for path, stamp, _ in read_lines(self._file))

    def put_by(self, name: str, stamp: Stamp) -> None:
        """Link a file there, or move it, what fails again later; not if it has changed or gone.

        A picture that is there stays as it is: another one of its name gets another name.
        """
        if self._try(name, stamp) or (name, stamp) in self._waiting:
            return
        self._waiting.append((name, stamp))
        with suppress(OSError), self._file.open("ab", buffering=0) as output:
            append(output.fileno(), {"path": name, **stamp._asdict()})

    def again(self) -> None:
        """Try what waits, if it is time; the first that fails goes behind the others."""
        if not self._waiting or self._trouble.waits():
            return
        while self._waiting:
            if not self._try(*self._waiting[0]):
                self._waiting.rotate(-1)
                return
            self._waiting.popleft()
        with suppress(OSError):
            self._file.unlink()
        self._trouble.ends("all rejects are put by")

    def withdraw(self, name: str, stamp: Stamp) -> None:
        """Take out a file that was put by as `stamp` and has changed; another picture stays."""
        source = self._source / name
        for target in self._targets(name, stamp):
            try:
                if target.samefile(source) or _is_beginning(target, source):
                    target.unlink()
            except OSError as exc:
                if exc.errno not in (errno.ENOENT, *NAME_ERRORS):
                    say(f"{target} is out of date and stays: {exc.strerror}")

    def _try(self, name: str, stamp: Stamp) -> bool:
        """Whether nothing is left to do about a file."""
        line = self._journal.line_of(name)
        if not (line and line.is_reject and line.stamp == stamp):
            return True  # it has got another decision since
        try:
            if stamp_of(self._source / name) == stamp:
                self._place(name, stamp)
        except OSError as exc:
            what = exc.filename2 or exc.filename or self._folder
            self._trouble.begins(f"rejects wait: {what}: {exc.strerror}")
            return False
        return True

    def _place(self, name: str, stamp: Stamp) -> None:
        *others, last = self._targets(name, stamp)
        for target in others:
            try:
                return self._bring(self._source / name, target, stamp)
            except OSError as exc:
                if exc.errno not in NAME_ERRORS:
                    raise
        return self._bring(self._source / name, last, stamp)

    def _targets(self, name: str, stamp: Stamp) -> Iterator[Path]:
        """Where it may go: by its name, beside another of that name, by a short and plain name."""
        target = self._folder / name
        yield target
        yield target.with_name(f"{target.stem}.{stamp.mtime_ns}{target.suffix}")
        plain = re.sub(r"[^\w.-]", "_", str(Path(name).with_suffix("")), flags=re.ASCII)
        code = f"{zlib.crc32(os.fsencode(name)):08x}.{stamp.mtime_ns}"
        yield self._folder / f"{plain[-KEPT_LETTERS:]}.{code}{target.suffix}"

    def _bring(self, source: Path, target: Path, stamp: Stamp) -> None:
        """Raises FileExistsError where another picture has the name."""
        picture = source.resolve()  # a link to a link would lead nowhere
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            try:
                target.hardlink_to(picture)
            except FileExistsError:
                raise
            except OSError:  # another file system, or one without links
                _copy(picture, target)
        elif not _is_of(target, picture, stamp):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        if self._move:
            source.unlink()


def _is_of(target: Path, picture: Path, stamp: Stamp) -> bool:
    """Whether a picture has been put by as this file: two parts may look the same to the byte."""
    if target.samefile(picture):
        return True
    is_named = str(stamp.mtime_ns) in target.name  # a file system may keep times less exactly
    return (is_named or stamp_of(target) == stamp) and filecmp.cmp(target, picture, shallow=False)


def _copy(source: Path, target: Path) -> None:
    """Copy a file so that it is whole, or not there, whatever happens."""
    file, draft = tempfile.mkstemp(".part", ".", target.parent)
    try:
        with open(file, "wb") as output:
            output.write(read_file(source))
            output.flush()
            os.fsync(file)
        with suppress(OSError):  # a share may not take times and permissions
            shutil.copystat(source, draft)
        Path(draft).rename(target)
    except OSError:
        with suppress(OSError):
            os.unlink(draft)
        raise


def _is_beginning(copy: Path, source: Path) -> bool:
    """Whether a copy is of a file that was still being written."""
    size = copy.stat().st_size
    return 0 < size < source.stat().st_size and read_file(source).startswith(read_file(copy))
