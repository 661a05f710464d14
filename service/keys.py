"""API keys: who may do what.

A file has one key a line: its name, its scopes, and the SHA-256 of the key itself, so that reading
the file gives nobody access. Keys are long random numbers, for which a fast hash is as good as a
slow one. The file is read anew when it changes: a key is revoked by removing its line.

    press-3   inspect       9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    operator  read,admin    60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
"""

import logging
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Literal, TypeAlias, get_args

Scope: TypeAlias = Literal["inspect", "read", "admin"]
SCOPES: tuple[str, ...] = get_args(Scope)
_LINE = re.compile(r"(?P<name>[\w.:-]{1,64})\s+(?P<scopes>[a-z,]+)\s+(?P<digest>[0-9a-f]{64})")

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

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._look()
        self._keys = read_keys(path)

    def find(self, secret: str) -> Key | None:
        """The key that `secret` is, None when it is none, in a time that does not tell which."""
        self._follow()
        digest = sha256(secret.encode()).hexdigest()
        found = [key for key in self._keys if compare_digest(key.digest, digest)]
        return found[0] if found else None

    def _follow(self) -> None:
        """Read a changed file; one that cannot be used leaves the keys as they were."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except KeyFileError as exc:
            _log.error("keys unchanged", extra={"fields": {"detail": str(exc)}})
        else:
            _log.info("keys read", extra={"fields": {"keys": len(self._keys)}})

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def read_keys(path: Path) -> list[Key]:
    """The keys of a file; raises KeyFileError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise KeyFileError(f"the file of the API keys cannot be read: {reason}") from exc
    keys = [
        _key(number, line.strip())
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    names = [key.name for key in keys]
    if twice := {name for name in names if names.count(name) > 1}:
        raise KeyFileError(f"the file of the API keys names {', '.join(sorted(twice))} twice")
    return keys


def add_key(path: Path, name: str, scopes: Sequence[str]) -> str:
    """Make a key, append its line, and return the key, which is kept nowhere else."""
    secret = f"og_{secrets.token_urlsafe(32)}"
    line = f"{name} {','.join(scopes)} {sha256(secret.encode()).hexdigest()}"
    _key(1, line)
    if path.exists() and name in [key.name for key in read_keys(path)]:
        raise KeyFileError(f"there is a key named {name} already: remove its line first")
    with open(path, "a", encoding="utf-8", opener=_private) as file:
        file.write(line + "\n")
    return secret


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
    return Key(match["name"], scopes, match["digest"])
