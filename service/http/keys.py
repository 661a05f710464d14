"""API keys: who may do what.

A file has one key a line: its name, its scopes, and the SHA-256 of the key itself, so that reading
the file gives nobody access. Keys are long random numbers, for which a fast hash is as good as a
slow one. The file is read anew when it changes: a key is revoked by removing its line. While it
cannot be used, the keys of before hold for not quite a minute: editors replace files in steps.

    press-3   inspect       9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    operator  read,admin    60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
"""

import codecs
import logging
import os
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from time import monotonic
from typing import Literal, TypeAlias, get_args

Stamp: TypeAlias = tuple[int, ...] | None  # of a file that can be found
Scope: TypeAlias = Literal["inspect", "read", "admin", "review", "teach"]
SCOPES: tuple[str, ...] = get_args(Scope)
_LINE = re.compile(r"(?P<name>[\w.:-]{1,64})\s+(?P<scopes>[a-z,]+)\s+(?P<digest>[0-9a-fA-F]{64})")
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}  # of Windows
READ_S = 10.0  # after which a file is read though it looks unchanged
KEEP_S = 60.0  # how long keys are good after they were read

_log = logging.getLogger("onegauge.keys")


class KeyFileError(Exception):
    """The file of the keys cannot be used; the message names the line."""


@dataclass(frozen=True)
class Key:
    """A key's name, what it is good for, and its SHA-256 in hexadecimal."""

    name: str
    scopes: frozenset[str]
    digest: str


class KeyFile:
    """The keys of a file, as it is now; raises KeyFileError when it cannot be used at first."""

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._clock = clock  # seconds
        self._problem: str | None = None  # why the file cannot be used now
        self._stamp: Stamp = None
        self._read_at = clock()
        self._read(self._look())

    def find(self, secret: str) -> Key | None:
        """The key that `secret` is, None when it is none, in a time that does not tell which.

        Raises KeyFileError when the file could last be read longer than KEEP_S ago.
        """
        digest = sha256(secret.encode()).hexdigest()
        found = [key for key in self._now() if compare_digest(key.digest, digest)]
        return found[0] if found else None

    def named(self, name: str) -> Key | None:
        """The key of this name, None where there is none; raises KeyFileError as `find`."""
        return next((key for key in self._now() if key.name == name), None)

    def _now(self) -> list[Key]:
        if not self.usable() and self._clock() - self._read_at >= KEEP_S:
            raise KeyFileError(self._problem)
        return self._keys

    def usable(self) -> bool:
        """Whether the file, read anew if it has changed, can be used now."""
        stamp = self._look()
        same = stamp is not None and stamp == self._stamp
        if same and self._clock() - self._read_at < READ_S:
            return True
        try:
            self._read(stamp)
        except KeyFileError as exc:
            self._stamp = None
            if self._problem != str(exc):
                self._problem = str(exc)
                told = {"detail": self._problem, "seconds": KEEP_S}
                _log.error("keys unchanged, for a while", extra={"fields": told})
            return False
        if not same:
            _log.info("keys read", extra={"fields": {"keys": len(self._keys)}})
        return True

    def _read(self, stamp: Stamp) -> None:
        """Read the file, whose stamp was taken before: it may change meanwhile."""
        self._keys = read_keys(self._path)
        self._stamp, self._problem = stamp, None
        self._read_at = self._clock()

    def _look(self) -> Stamp:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def read_keys(path: Path) -> list[Key]:
    """The keys of a file; raises KeyFileError."""
    text, _ = _text_of(path)
    return _keys_of(text)


def add_key(path: Path, name: str, scopes: Sequence[str]) -> str:
    """Make a key, append its line, and return the key, which is kept nowhere else."""
    secret = f"og_{secrets.token_urlsafe(32)}"
    line = f"{name} {','.join(scopes)} {sha256(secret.encode()).hexdigest()}"
    _key(1, line)
    text, encoding = _text_of(path) if path.exists() else ("", "utf-8")
    if name in [key.name for key in _keys_of(text)]:
        raise KeyFileError(f"there is a key named {name} already: remove its line first")
    end = "\n" if text and not text.endswith("\n") else ""  # of the last line, edited by hand
    with open(path, "ab", opener=_private) as file:
        file.write(f"{end}{line}\n".encode(encoding))
    return secret


def _text_of(path: Path) -> tuple[str, str]:
    """The text of a file, and its encoding: Windows writes UTF-8 and UTF-16 with a mark."""
    try:
        if path.is_fifo():  # which would hold the gateway, and is empty when it is read again
            raise KeyFileError("the file of the API keys cannot be read: it is a pipe")
        data = path.read_bytes()
        encoding = _UTF_16.get(data[:2], "utf-8")
        return data.decode(encoding).removeprefix("\ufeff"), encoding
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is neither UTF-8 nor UTF-16"
        raise KeyFileError(f"the file of the API keys cannot be read: {reason}") from exc


def _keys_of(text: str) -> list[Key]:
    keys = [
        _key(number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    names = [key.name for key in keys]
    if twice := {name for name in names if names.count(name) > 1}:
        raise KeyFileError(f"the file of the API keys names {', '.join(sorted(twice))} twice")
    return keys


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _key(number: int, line: str) -> Key:
    match = _LINE.fullmatch(line)
    if match is None:
        raise KeyFileError(
            f"line {number} of the API keys is not like 'press-3 inspect,read SHA256'; "
            "onegauge key writes such lines"
        )
    scopes = frozenset(match["scopes"].split(","))
    if unknown := scopes - set(SCOPES):
        raise KeyFileError(
            f"line {number} of the API keys has the scope {sorted(unknown)[0]!r}, which is none of "
            f"{', '.join(SCOPES)}"
        )
    return Key(match["name"], scopes, match["digest"].lower())
