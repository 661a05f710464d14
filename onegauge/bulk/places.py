"""Files of this machine, and of what fsspec reaches: s3://…, gs://…, az://…"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from onegauge.bulk.errors import BulkError

LOCAL = "file"
PUT_IS_ATOMIC = frozenset({"abfs", "abfss", "az", "gcs", "gs", "memory", "s3", "s3a"})
EXTRAS = {"s3": "s3", "s3a": "s3"}  # of the package, by protocol


def protocol_of(place: str) -> str:
    """That of an address; a path without one is of this machine."""
    protocol, separator, _ = place.partition("://")
    return protocol if separator else LOCAL


def local_path(place: str) -> str | None:
    """A place of this machine as an absolute path, None for one elsewhere."""
    if protocol_of(place) != LOCAL:
        return None
    return os.path.abspath(os.path.expanduser(place.removeprefix("file://")))


def file_system(place: str) -> tuple[Any, str]:
    """The file system of a place, and its path there; raises BulkError."""
    protocol = protocol_of(place)
    try:
        system, path = fsspec.core.url_to_fs(local_path(place) or place)
    except ImportError as exc:
        extra = EXTRAS.get(protocol)
        hint = f"pip install 'onegauge[{extra}]'" if extra else str(exc)
        raise BulkError(f"{place} needs a library that is not installed: {hint}") from exc
    except ValueError as exc:
        raise BulkError(f"{place} cannot be reached: {exc}") from exc
    return system, path


@contextmanager
def told(place: str) -> Iterator[None]:
    """Turn what a file system raises into BulkError that names the place."""
    errors: tuple[type[Exception], ...] = (OSError,)
    if protocol_of(place) in EXTRAS:
        from botocore.exceptions import BotoCoreError

        errors = (OSError, BotoCoreError)
    try:
        yield
    except errors as exc:
        raise BulkError(f"{place}: {exc}") from exc


class Folder:
    """A folder or a prefix of a bucket, whose files are written whole or not at all.

    Each method raises BulkError.
    """

    def __init__(self, place: str) -> None:
        """Makes it where there is none; what a run that was killed left half-written is removed."""
        self._place = place
        self._system, self._root = file_system(place)
        with told(place):
            self._system.makedirs(self._root, exist_ok=True)
            for name in self._listed():
                if _is_draft(name):
                    self._system.rm_file(self._path(name))

    def names(self) -> list[str]:
        """Of the files in it, in rising order."""
        with told(self._place):
            return sorted(name for name in self._listed() if not name.startswith("."))

    def read(self, name: str) -> bytes:
        """All of a file."""
        with told(f"{self._place}/{name}"):
            data: bytes = self._system.cat_file(self._path(name))
            return data

    def write(self, name: str, data: bytes) -> None:
        """A whole file, in the place of an older one of this name."""
        with told(f"{self._place}/{name}"):
            if protocol_of(self._place) in PUT_IS_ATOMIC:
                self._system.pipe_file(self._path(name), data)
                return
            draft = self._path(f".{name}.draft")
            self._system.pipe_file(draft, data)
            self._system.mv(draft, self._path(name))

    def _listed(self) -> list[str]:
        self._system.invalidate_cache()
        try:
            entries = self._system.ls(self._root, detail=True)
        except FileNotFoundError:  # a prefix without files is none
            return []
        return [e["name"].rpartition("/")[2] for e in entries if e["type"] == "file"]

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(".draft")
