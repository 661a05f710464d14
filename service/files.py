"""Files below a folder, and which of them are images: for training, `inspect` and `watch` alike.

Links to files and to folders are followed. A folder that is reached in several ways, by links in
a circle or otherwise, is listed once, by a way without links if there is one.
"""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".dib", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
# of macOS, Windows and network storage
OF_SYSTEMS = frozenset({"__macosx", "$recycle.bin", "#recycle", "#snapshot", "@eadir", "@recycle"})


def images_below(folder: Path) -> Iterator[Path]:
    """The images anywhere below a folder, in no order; raises OSError."""
    return (folder / file for file in files_below(folder) if is_image(file))


def files_below(folder: Path) -> Iterator[Path]:
    """All files anywhere below a folder, relative to it and in no order; raises OSError."""
    return (name for name, is_file in names_below(folder) if is_file)


def names_below(folder: Path) -> Iterator[tuple[Path, bool]]:
    """All but folders anywhere below a folder, relative to it, and whether each is a file.

    A link that leads nowhere and a pipe are none. Raises OSError.
    """
    real, links, seen = deque([Path()]), deque[Path](), set[tuple[int, int]]()
    while real or links:
        here = (real or links).popleft()
        status = (folder / here).stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder / here) as entries:
            for entry in entries:
                if entry.is_symlink():
                    leads_to = Path(entry)  # whose methods say no where it leads nowhere
                    if leads_to.is_dir():
                        links.append(here / entry.name)
                    else:
                        yield here / entry.name, leads_to.is_file()
                elif entry.is_dir():
                    real.append(here / entry.name)
                else:
                    yield here / entry.name, entry.is_file()


def is_image(file: Path) -> bool:
    """Whether a file, relative to the folder that is looked at, is one by its name.

    Not if it is hidden, or in a hidden folder, as what systems leave beside images is: `._a.jpg`.
    """
    return file.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(file)


def is_hidden(file: Path) -> bool:
    """Whether the name of a file or of a folder that it is in begins with a dot.

    Or whether the folder is one in which a system keeps thumbnails and what was deleted.
    """
    return any(part.startswith(".") or part.lower() in OF_SYSTEMS for part in file.parts)
