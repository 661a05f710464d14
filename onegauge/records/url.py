"""The URL of the database of records, and what lies beside a SQLite file."""

from pathlib import Path

SQLITE = "sqlite:///"


def url_of(told: str) -> str:
    """A URL, or that in a file, which keeps a password out of environments and lists of processes.

    Raises OSError, and ValueError for a file that is no text.
    """
    return Path(told).read_text().strip() if told.startswith("/") else told


def beside(url: str, name: str) -> Path | None:
    """A folder beside the file of SQLite, None of another database."""
    file = url.partition("?")[0].removeprefix(SQLITE)
    return Path(file).parent / name if url.startswith(SQLITE) else None
