"""What becomes of a file below a folder of images, where that is said, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from glob import escape


class Outcome(StrEnum):
    """What becomes of a file."""

    TAKEN = "taken"
    UNDECIDED = "undecided"  # whoever knows the images has to say
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a file, and where it is said, as a glob that an option takes."""

    outcome: Outcome
    where: str
    why: str

    @property
    def is_taken(self) -> bool:
        """Whether the file is read."""
        return self.outcome is Outcome.TAKEN


def taken(*folders: str, why: str = "for training") -> Verdict:
    """A file is taken from a folder."""
    return Verdict(Outcome.TAKEN, place(*folders), why)


def left_out(*folders: str, why: str) -> Verdict:
    """A file is left out, as one of the folders that it lies in says, the last one here."""
    return Verdict(Outcome.LEFT_OUT, place(*folders), why)


def undecided(*parts: str, why: str) -> Verdict:
    """Nothing says what becomes of a folder or a file."""
    return Verdict(Outcome.UNDECIDED, place(*parts), why)


def place(*parts: str) -> str:
    """The glob of a folder or a file below the root, that of the root itself without parts."""
    return escape("/".join(parts)) or "."
