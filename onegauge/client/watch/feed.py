"""What may bring pictures into a folder that is watched, and then knows more of them than it."""

from typing import Any, Protocol


class Feed(Protocol):
    """The one who writes the files; their names are below the folder."""

    def asked_of(self, name: str) -> dict[str, Any]:
        """Options of the inspection of a picture, beside those of all."""

    def problem_of(self, name: str) -> dict[str, Any] | None:
        """What goes on record of a picture that nobody shall be asked about."""

    def done(self, name: str, record: dict[str, Any]) -> bool:
        """Take note of what is on record of a picture now; returns whether its file may go."""

    def is_over(self) -> bool:
        """Whether no more pictures come, and all that came are done."""
