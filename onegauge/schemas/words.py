"""What several requests and answers have in common: names, times and numbers, and their bounds."""

from typing import Annotated, Literal, TypeAlias
from unicodedata import normalize

from pydantic import AwareDatetime, BeforeValidator, Field

LINE_MAX_LENGTH, PART_MAX_LENGTH, VIEW_MAX_LENGTH = 64, 128, 64
NO_LINE = "-"  # where those that name none need a name
_PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"  # text that any database takes
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"

Verdict: TypeAlias = Literal["normal", "anomalous"]
Opinion: TypeAlias = Literal["confirmed", "false_alarm", "missed", "unclear"]


def _spelt_in_one_way(given: object) -> object:
    return normalize("NFC", given) if isinstance(given, str) else given


def _named(given: object) -> object:
    return None if given in ("", NO_LINE) else given


def _as_scanned(given: object) -> object:
    """Spelt in one way, without the line end of a scanner; None where nothing is left."""
    return normalize("NFC", given).strip() or None if isinstance(given, str) else given


def _no_number(given: object) -> object:
    """Numbers would be taken for seconds since 1970, which no document says."""
    if isinstance(given, str) and not given[:5].endswith("-"):
        raise ValueError("a time with its zone is like 2026-11-30T06:00:00Z")
    return given


Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_no_number)]

Threshold: TypeAlias = Annotated[
    float | None,
    Field(allow_inf_nan=False, description="Least score of an anomalous image"),
]
Rate: TypeAlias = Annotated[
    float | None,
    Field(gt=0, lt=1, description="Decide by the p-value, at this false-alarm rate"),
]

LineName: TypeAlias = Annotated[
    str | None,
    Field(max_length=LINE_MAX_LENGTH, description="Label of the line in metrics and logs"),
    BeforeValidator(_spelt_in_one_way),
]
NewLine: TypeAlias = Annotated[LineName, BeforeValidator(_named)]

PartName: TypeAlias = Annotated[
    str | None,
    Field(
        max_length=PART_MAX_LENGTH,
        pattern=_ONE_LINE,
        description="Serial number or order of the part; several images may be of one",
    ),
    BeforeValidator(_as_scanned),
]

ViewName: TypeAlias = Annotated[
    str | None,
    Field(
        max_length=VIEW_MAX_LENGTH,
        pattern=_ONE_LINE,
        description="Name or number of the camera; its picture replaces an earlier one",
    ),
    BeforeValidator(_as_scanned),
]

Author: TypeAlias = Annotated[
    str | None, Field(max_length=64, pattern=_PLAIN, description="Who; else the key's name")
]
Note: TypeAlias = Annotated[str | None, Field(max_length=1000, pattern=_PLAIN)]
