"""What several processes need and one of them makes: the others wait for it."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """`folder`, which whoever comes first has `make` fill; where that raises, the next one tries.

    `make` is given a draft beside it, so that what is there is always whole.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, as by a process that ends
            if not folder.exists():
                _make(folder, make)
    return folder


def _make(folder: Path, make: Callable[[Path], object]) -> None:
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        make(draft)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
