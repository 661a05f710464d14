"""What the kernel tells of changes in folders, so that nobody has to look for them.

On Linux alone, and not of what other machines write to a share: who uses it has to look, too, but
seldom.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any


class Changes:
    """The folders that are watched; none where the kernel tells nothing."""

    def __init__(self) -> None:
        self._folders: dict[int, Path] = {}
        self._inotify: Any = None
        try:
            from inotify_simple import INotify, flags

            self._inotify = INotify()
            self._flags = flags
            self._wanted = (
                flags.CREATE | flags.MODIFY | flags.CLOSE_WRITE | flags.MOVED_TO | flags.ONLYDIR
            )
        except (ImportError, OSError):  # another system, or no more of them for this user
            return

    def close(self) -> None:
        """Watch no more."""
        if self._inotify:
            self._inotify.close()

    def watch(self, folder: Path, name: Path) -> None:
        """Tell of a folder, by this name; again does no harm."""
        if self._inotify:
            with suppress(OSError):  # gone, or one too many for this user
                self._folders[self._inotify.add_watch(folder, self._wanted)] = name

    def read(self) -> tuple[set[tuple[Path, str]], set[Path]]:
        """Folder and name of each file that has changed, and the folders that have to be listed.

        It never waits. All have to be listed, `Path()`, when more has happened than was kept.
        """
        files, folders = set(), set()
        for event in self._inotify.read(timeout=0) if self._inotify else ():
            here = self._folders.get(event.wd)
            if event.mask & self._flags.Q_OVERFLOW:
                folders.add(Path())
            elif event.mask & self._flags.IGNORED:
                self._folders.pop(event.wd, None)
            elif here is not None and event.mask & self._flags.ISDIR:
                folders.add(here / event.name)
            elif here is not None:
                files.add((here, event.name))
        return files, folders
