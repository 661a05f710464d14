"""Globs by which a user decides what is taken from a folder, against what its names say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from unicodedata import normalize

from onegauge.training.errors import DataError


@dataclass(frozen=True)
class Choice:
    """Globs that decide against the names; `exclude` wins over `include`.

    One with a slash is a path from the root, in which `**` stands for any folders; one without is
    a name at any depth. That of a folder has all that is below it.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def includes(self, file: Path) -> bool:
        """Whether a file, relative to the root, is to be taken whatever its names say."""
        return any(_matches(_parts(file), _pattern(glob)) for glob in self.include)

    def excludes(self, file: Path) -> bool:
        """Whether a file, relative to the root, is to be left out."""
        return any(_matches(_parts(file), _pattern(glob)) for glob in self.exclude)

    def require_use(self, images: Sequence[Path], root: Path) -> None:
        """Raise DataError for a glob that no image matches, as it may be misspelt."""
        for option, globs in (("--include", self.include), ("--exclude", self.exclude)):
            for glob in globs:
                pattern = _pattern(glob)
                if not any(_matches(_parts(image), pattern) for image in images):
                    raise DataError(
                        f"{option} {glob!r} matches no image in {root}: give a path below it, such "
                        "as 'line4/NG', or a name at any depth, such as '*_old.png'"
                    )


NO_CHOICE = Choice()


def _parts(file: Path) -> tuple[str, ...]:
    return tuple(normalize("NFC", part) for part in file.parts)


def _pattern(glob: str) -> tuple[str, ...]:
    parts = tuple(part for part in normalize("NFC", glob).split("/") if part not in ("", "."))
    return parts if "/" in glob.rstrip("/") else ("**", *(parts or [""]))


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path, or a folder above it, matches a pattern part by part."""
    match pattern:
        case []:
            return True
        case ["**", *rest]:
            return any(_matches(parts[i:], rest) for i in range(len(parts)))
        case [first, *rest]:
            return bool(parts) and fnmatchcase(parts[0], first) and _matches(parts[1:], rest)
    return False
