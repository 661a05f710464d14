"""Pictures as they were uploaded, by the SHA-256 of their bytes, and small ones beside them.

AB/CDEF…       the picture of digest ABCDEF…
AB/CDEF….jpg   its thumbnail
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from onegauge.files import folders_below
from onegauge.records.errors import PictureGone, RecordsError, RecordsUnavailable

_NAME = re.compile(r"([0-9a-f]{2})/([0-9a-f]{62})(?:\.jpg)?")


class Stored(NamedTuple):
    """A file of a store, by its name below it."""

    name: str
    size: int  # in bytes
    written: datetime


class Store(Protocol):
    """Files by name; what goes wrong is an OSError, or one of `failures`."""

    failures: tuple[type[Exception], ...]

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file, or none."""

    def read(self, name: str) -> bytes:
        """The bytes of a file; raises FileNotFoundError."""

    def remove(self, name: str) -> int:
        """Remove a file, and say how many bytes it had; 0 where there is none."""

    def files(self) -> Iterator[Stored]:
        """All of them."""


class Pictures:
    """Pictures in a folder, or in a bucket by `s3://BUCKET/PREFIX`.

    Each method raises RecordsUnavailable where the disk is full or gone.
    """

    def __init__(self, where: str | Path):
        """Raises RecordsUnavailable where the folder cannot be made, RecordsError without s3fs."""
        with _mapped(()):
            self._store: Store = _Bucket(where) if _is_bucket(where) else _Folder(Path(where))

    def put(self, data: bytes) -> str:
        """Keep a picture, and say by which digest."""
        digest = sha256(data).hexdigest()
        self._write(_of(digest), data)
        return digest

    def put_thumbnail(self, digest: str, jpeg: bytes) -> None:
        """Keep a thumbnail beside a picture."""
        self._write(_thumbnail_of(digest), jpeg)

    def read(self, digest: str) -> bytes:
        """The picture as it was uploaded; raises PictureGone."""
        return self._read(_of(digest))

    def thumbnail(self, digest: str) -> bytes:
        """The JPEG file of a thumbnail; raises PictureGone."""
        return self._read(_thumbnail_of(digest))

    def remove(self, digest: str) -> int:
        """Remove a picture and its thumbnail, if they are there; the bytes that this frees."""
        return self._remove(_of(digest)) + self._remove(_thumbnail_of(digest))

    def size(self) -> int:
        """Bytes of all pictures and thumbnails: looks at each file."""
        with _mapped(self._store.failures):
            return sum(file.size for file in self._store.files())

    def before(self, time: datetime) -> set[str]:
        """Digests of pictures and thumbnails written last before a time: looks at each file."""
        with _mapped(self._store.failures):
            old = (_NAME.fullmatch(f.name) for f in self._store.files() if f.written < time)
            return {found[1] + found[2] for found in old if found}

    def _write(self, name: str, data: bytes) -> None:
        with _mapped(self._store.failures):
            self._store.write(name, data)

    def _read(self, name: str) -> bytes:
        with _mapped(self._store.failures):
            try:
                return self._store.read(name)
            except FileNotFoundError as exc:
                raise PictureGone(f"there is no picture {name}: it was removed") from exc

    def _remove(self, name: str) -> int:
        with _mapped(self._store.failures):
            return self._store.remove(name)


class _Folder:
    failures: tuple[type[Exception], ...] = ()

    def __init__(self, root: Path):
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, data: bytes) -> None:
        file = self._root / name
        # another length is left by a machine that lost its power
        if file.exists() and file.stat().st_size == len(data):
            os.utime(file)  # it is wanted now: it may be that no inspection has had it for long
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.parent / f".{secrets.token_hex(8)}"
        try:
            temporary.write_bytes(data)
            os.replace(temporary, file)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def remove(self, name: str) -> int:
        file = self._root / name
        try:
            size = file.stat().st_size
            file.unlink()
        except FileNotFoundError:
            return 0
        return size

    def files(self) -> Iterator[Stored]:
        for here, names, _ in folders_below(self._root):
            for name in names:
                with suppress(FileNotFoundError):  # which another process has removed meanwhile
                    status = (self._root / here / name).stat()
                    written = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield Stored((here / name).as_posix(), status.st_size, written)


class _Bucket:
    def __init__(self, url: object):
        try:
            from botocore.exceptions import BotoCoreError
            from s3fs import S3FileSystem
        except ModuleNotFoundError as exc:
            raise RecordsError(f"{exc.name} is missing: pip install 'onegauge[s3]'") from exc
        self.failures: tuple[type[Exception], ...] = (BotoCoreError,)
        self._root = str(url).removeprefix("s3://").rstrip("/")
        self._files: Any = S3FileSystem(use_listings_cache=False, skip_instance_cache=True)

    def write(self, name: str, data: bytes) -> None:
        self._files.pipe_file(f"{self._root}/{name}", data)

    def read(self, name: str) -> bytes:
        data: bytes = self._files.cat_file(f"{self._root}/{name}")
        return data

    def remove(self, name: str) -> int:
        file = f"{self._root}/{name}"
        try:
            size = int(self._files.info(file)["size"])
            self._files.rm_file(file)
        except FileNotFoundError:
            return 0
        return size

    def files(self) -> Iterator[Stored]:
        for path, told in self._files.find(self._root, detail=True).items():
            name = path.removeprefix(f"{self._root}/")
            yield Stored(name, int(told["size"]), told["LastModified"])


@contextmanager
def _mapped(failures: tuple[type[Exception], ...]) -> Iterator[None]:
    caught: tuple[type[Exception], ...] = (OSError, *failures)
    try:
        yield
    except caught as exc:
        raise RecordsUnavailable(f"the pictures of the records: {exc}") from exc


def _is_bucket(where: str | Path) -> bool:
    return str(where).startswith("s3://")


def _of(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:]}"


def _thumbnail_of(digest: str) -> str:
    return f"{_of(digest)}.jpg"
