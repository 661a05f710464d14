"""Which pictures have come into a folder, or have changed there, and are not done."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from onegauge.client.watch.changes import Changes
from onegauge.client.watch.journal import Journal, Stamp, stamp_of
from onegauge.client.watch.whole import is_whole
from onegauge.files import folders_below, images_among, read_file
from onegauge.pauses import Pauses, say


@dataclass(frozen=True)
class Pace:
    """How often to look, and how long to wait, in seconds."""

    look_s: float = 0.2
    settled_s: float = 0.5  # without a change of size or time, a file is taken to be whole
    cut_off_s: float = 10.0  # the same, for one whose format says that more is to come
    listing_share: float = 0.02  # of a core, for listing all files
    away: Pauses = field(default=Pauses(0.5, 5.0))  # while nothing can be had of a share or gateway
    again: Pauses = field(default=Pauses(1.0, 3600.0))  # for a picture that gets no decision


@dataclass
class Picture:
    """A file that is not done: known by `name` below the folder."""

    name: str
    stamp: Stamp
    due: float  # by the clock, when to read it or to try again
    is_cut_off: bool = False  # it was when it was read, and had more time
    tries: int = 0  # that failed, for whatever reason
    failures: int = 0  # of these, while the gateway had answers for others
    answers: int | None = None  # that others had got when it failed at the gateway


class Arrivals:
    """The pictures of one folder that are not done, found by the kernel's word and by looking."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        rejects: Path | None,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._rejects = rejects  # whatever is below is not looked at
        self._pace = pace
        self._clock = clock
        self._changes = Changes()
        self._next_listing = clock()
        self._pictures: dict[str, Picture] = {}
        self._unlisted: set[str] = set()  # what could not be listed, and it was said

    def close(self) -> None:
        """Look no more."""
        self._changes.close()

    def names(self) -> set[str]:
        """All that are not done, once all files were looked at."""
        self._list_all()
        return set(self._pictures)

    def due(self) -> list[Picture]:
        """Pictures that have settled, or are to be tried again; looks for new ones first."""
        files, folders = self._changes.read()
        for here, name in files:
            self._note_images(here, [name])
        for here in folders:
            self._list(here, follow=False)  # a link may lead to what has another name
        if self._clock() >= self._next_listing:
            self._list_all()
        now = self._clock()
        return [picture for picture in self._pictures.values() if picture.due <= now]

    def read(self, picture: Picture) -> bytes | None:
        """The bytes of a picture that is due; None if it is to wait, or is not as it was."""
        path = self._folder / picture.name
        try:
            data = read_file(path)
            stamp = stamp_of(path)
        except (FileNotFoundError, NotADirectoryError):
            self.drop(picture.name, picture.stamp)
            return None
        except OSError as exc:
            if not picture.tries:
                say(f"{path} waits: {exc.strerror}")
            picture.tries += 1
            self.postpone(picture, self._pace.away.after(picture.tries))
            return None
        if stamp != picture.stamp:
            self._note(picture.name)
            return None
        if not picture.is_cut_off and not is_whole(data):
            picture.is_cut_off = True
            self.postpone(picture, self._pace.cut_off_s)
            return None
        return data

    def postpone(self, picture: Picture, seconds: float) -> None:
        """Let a picture wait so long, unless it changes."""
        picture.due = self._clock() + seconds

    def drop(self, name: str, stamp: Stamp) -> None:
        """Think no more of a file as it was: it is done, or gone."""
        if name in self._pictures and self._pictures[name].stamp == stamp:
            del self._pictures[name]

    def _list_all(self) -> None:
        """Look at all files, seldom where there are many."""
        begin = time.process_time()
        errors = self._list(Path(), follow=True)
        failed = {str(exc.filename): exc for exc in errors if not self._is_gone(exc)}
        for path in failed.keys() - self._unlisted:
            say(f"{path} cannot be listed and is tried again: {failed[path].strerror}")
        self._unlisted = set(failed)
        cost = time.process_time() - begin
        self._next_listing = self._clock() + max(self._pace.look_s, cost / self._pace.listing_share)

    def _list(self, top: Path, *, follow: bool) -> list[OSError]:
        """Look at all files of a folder and below; returns what went wrong, and was passed over."""
        errors: list[OSError] = []
        for below, names, _ in folders_below(self._folder / top, errors.append, follow=follow):
            here = top / below
            if not self._is_reject(here):
                self._changes.watch(self._folder / here, here)
                self._note_images(here, names)
        return errors

    def _is_gone(self, exc: OSError) -> bool:
        """Whether it is a folder that went while it was to be listed, which is nobody's fault."""
        return isinstance(exc, FileNotFoundError) and exc.filename != str(self._folder)

    def _note_images(self, here: Path, names: Iterable[str]) -> None:
        prefix = "" if here == Path() else f"{here.as_posix()}/"
        for name in images_among(here, names):
            self._note(prefix + name)

    def _is_reject(self, here: Path) -> bool:
        if self._rejects is None:
            return False
        return Path(os.path.realpath(self._folder / here)).is_relative_to(self._rejects)

    def _note(self, name: str) -> None:
        """Look at one file: a new one, or one that has changed, has to settle."""
        try:
            status = os.stat(f"{self._folder}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            self._pictures.pop(name, None)
            return
        except OSError:
            return  # a later look finds it
        stamp = Stamp(status.st_size, status.st_mtime_ns)
        if not S_ISREG(status.st_mode) or self._journal.knows(name, stamp):
            self._pictures.pop(name, None)
            return
        picture = self._pictures.get(name)
        if picture is None or picture.stamp != stamp:
            due = self._clock() + self._pace.settled_s
            self._pictures[name] = Picture(name, stamp, due)
