"""A part that fails, apart from what others need: its process has little to import."""

from typing import Never


def raising(error: Exception) -> Never:
    """Raise it."""
    raise error
