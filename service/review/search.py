"""What is looked for, as the address of a page has it."""

from datetime import datetime, tzinfo
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlencode

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from onegauge.records.record import Opinion
from onegauge.records.search import Filter, Order
from onegauge.schemas import PartWord, Verdict
from onegauge.service.errors import InvalidOption

TEXT_LENGTH = 128
Text = Annotated[str, Field(max_length=TEXT_LENGTH)]
Score = Annotated[float, Field(allow_inf_nan=False)]


class Search(BaseModel):
    """The fields of the search form; one that is left empty asks for nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    part: Text | None = None
    line: Text | None = None
    since: datetime | None = None  # by the clock of who looks
    until: datetime | None = None
    decision: Verdict | None = None
    part_decision: PartWord | None = None
    verdict: Opinion | Literal["none"] | None = None
    min_score: Score | None = None
    max_score: Score | None = None
    order: Order = "newest"
    after: str | None = None  # the cursor of the list

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, fields: dict[str, Any]) -> dict[str, Any]:
        stripped = {name: value.strip() for name, value in fields.items()}
        return {name: value for name, value in stripped.items() if value}

    @classmethod
    def of(cls, request: Request) -> Self:
        """What the address of a request asks for; raises InvalidOption."""
        try:
            return cls.model_validate(dict(request.query_params))
        except ValidationError as exc:
            error = exc.errors()[0]
            where = ".".join(map(str, error["loc"]))
            raise InvalidOption(f"{where}: {error['msg']}; it is {error['input']!r}.") from exc

    def filter(self, zone: tzinfo) -> Filter:
        """The inspections that are meant, by a clock in `zone`."""
        return Filter(
            since=_at(self.since, zone),
            until=_at(self.until, zone),
            line=self.line,
            part=self.part,
            decision=self.decision,
            part_decision=self.part_decision,
            # a picture stands for its part, but where it is asked what was said of each
            folded=False if self.verdict in (None, "none") else None,
            verdict=self.verdict,
            # what was said of unknown products is said, though it is no verdict
            decided=False if self.verdict == "none" else None,
            min_score=self.min_score,
            max_score=self.max_score,
        )

    @property
    def narrow(self) -> bool:
        """Whether anything but the order and the place in the list is asked for."""
        return bool(self._asked().keys() - {"order", "after"})

    def address(self, path: str, **changes: str | None) -> str:
        """Where the same is looked for below another path, but for some changes."""
        asked = {**self._asked(), **changes}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return f"{path}?{query}" if query else path

    def _asked(self) -> dict[str, str | None]:
        told: dict[str, str | None] = self.model_dump(mode="json", exclude_defaults=True)
        return told


def _at(when: datetime | None, zone: tzinfo) -> datetime | None:
    return when.replace(tzinfo=zone) if when is not None and when.tzinfo is None else when
