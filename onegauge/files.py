"""Files below a folder, and which of them are images: for training, `inspect` and `watch` alike.

Links to files and to folders are followed. A folder that is reached in several ways, by links in
a circle or otherwise, is listed once, by a way without links if there is one.
"""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple, NoReturn, TypeAlias

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".dib", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
# of macOS, Windows and network storage
OF_SYSTEMS = frozenset({"__macosx", "$recycle.bin", "#recycle", "#snapshot", "@eadir", "@recycle"})

OnError: TypeAlias = Callable[[OSError], object]


class Listed(NamedTuple):
    """A folder, relative to the one that is looked at, and the names of what is in it."""

    here: Path
    files: list[str]
    others: list[str]  # links that lead nowhere, pipes


def _raise(exc: OSError) -> NoReturn:
    raise exc


def images_below(folder: Path, on_error: OnError = _raise) -> Iterator[Path]:
    """The images anywhere below a folder, in no order; `on_error` as for `folders_below`."""
    for here, files, _ in folders_below(folder, on_error):
        yield from (folder / here / name for name in images_among(here, files))


def names_below(folder: Path) -> Iterator[tuple[Path, bool]]:
    """All but folders anywhere below a folder, relative to it, and whether each is a file.

    A link that leads nowhere and a pipe are none. Raises OSError.
    """
    for here, files, others in folders_below(folder):
        yield from ((here / name, True) for name in files)
        yield from ((here / name, False) for name in others)


def folders_below(
    folder: Path, on_error: OnError = _raise, *, follow: bool = True
) -> Iterator[Listed]:
    """A folder and all below it.

    What cannot be looked at is told to `on_error`, which raises it, or else it is passed over.
    Without `follow`, links to folders are passed over.
    """
    real, links, seen = deque([Path()]), deque[Path](), set[tuple[int, int]]()
    while real or (links and follow):
        here = (real or links).popleft()
        try:
            status = (folder / here).stat()
            with os.scandir(folder / here) as listing:
                entries = list(listing)
        except OSError as exc:
            on_error(exc)
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        listed = Listed(here, [], [])
        for entry in entries:
            try:
                # a link is asked as a path, which says no where it leads nowhere
                item = Path(entry) if entry.is_symlink() else entry
                if item.is_file():
                    listed.files.append(entry.name)
                elif item.is_dir():
                    (links if entry.is_symlink() else real).append(here / entry.name)
                else:
                    listed.others.append(entry.name)
            except OSError as exc:
                on_error(exc)
        yield listed


def is_image(file: Path) -> bool:
    """Whether a file, relative to the folder that is looked at, is one by its name.

    Not if it is hidden, or in a hidden folder, as what systems leave beside images is: `._a.jpg`.
    """
    return bool(images_among(file.parent, [file.name]))


def images_among(here: Path, names: Iterable[str]) -> list[str]:
    """Which files of a folder are images, as `is_image` says: quick, for many files."""
    if is_hidden(here):
        return []
    return [
        name
        for name in names
        if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")
    ]


def is_hidden(file: Path) -> bool:
    """Whether the name of a file or of a folder that it is in begins with a dot.

    Or whether the folder is one in which a system keeps thumbnails and what was deleted.
    """
    return any(part.startswith(".") or part.lower() in OF_SYSTEMS for part in file.parts)


def read_file(path: Path) -> bytes:
    """The bytes of a regular file; raises OSError for anything else, also one too large to hold."""
    try:
        with open(path, "rb", opener=regular) as file:
            return file.read()
    except MemoryError as exc:
        raise OSError(errno.ENOMEM, "it is larger than the memory", str(path)) from exc


def regular(path: str, flags: int) -> int:
    """Opener of regular files; raises OSError for anything else, and never waits for a pipe."""
    file = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # which Windows has no need of
    try:
        if not S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    except OSError:
        os.close(file)
        raise
    return file
