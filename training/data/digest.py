"""SHA-256 of a file, and of all the files that a model has seen."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_digest(contents: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over names and the digests of contents: tells which data a model has seen."""
    total = hashlib.sha256()
    for name, content in contents:
        total.update(os.fsencode(name))
        total.update(bytes.fromhex(content))
    return total.hexdigest()
