"""What was inspected, how it is searched, and what persons say of it."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from onegauge.schemas.answer import Normal, PartDecision, PartWord
from onegauge.schemas.model import ModelVersion
from onegauge.schemas.words import Author, LineName, Moment, Note, Opinion, PartName, Verdict

PAGE_MAX_LENGTH = 500


class Search(BaseModel):
    """Which inspections a page is to have: those that all of it holds for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Annotated[Moment | None, Field(description="From this time on")] = None
    until: Annotated[Moment | None, Field(description="Before this time")] = None
    line: Annotated[LineName, Field(description="-: those that named none")] = None
    part: PartName = None
    decision: Annotated[Verdict | None, Field(description="What was decided")] = None
    verdict: Annotated[
        Opinion | Literal["none"] | None, Field(description="What a person said; none: nothing")
    ] = None
    min_score: Annotated[float | None, Field(allow_inf_nan=False)] = None
    max_score: Annotated[float | None, Field(allow_inf_nan=False)] = None
    model: Annotated[str | None, Field(description="Name of the model that decided")] = None
    version: Annotated[str | None, Field(description="Its version")] = None
    part_decision: Annotated[
        PartWord | None, Field(description="What was decided on all views of its part")
    ] = None
    unknown: Annotated[
        bool | None, Field(description="Whether of a product that training has not seen")
    ] = None
    kept: Annotated[bool | None, Field(description="Whether with a picture")] = None
    order: Annotated[
        Literal["newest", "nearest"],
        Field(description="The newest first, or those nearest to their threshold"),
    ] = "newest"
    after: Annotated[str | None, Field(description="The `next` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX_LENGTH)] = 50


class Inspected(BaseModel):
    """An inspection in a list."""

    id: str
    time: AwareDatetime
    line: str | None
    part: str | None
    filename: str | None
    decision: Verdict
    verdict: Annotated[Opinion | None, Field(description="What a person said last")]
    score: float
    threshold: float | None
    max_false_alarm_rate: float | None
    p_value: float
    novelty: float
    unknown_product: bool
    model: ModelVersion
    picture: Annotated[str | None, Field(description="SHA-256 of the kept picture")]


class InspectedPage(BaseModel):
    """Some inspections, and the cursor of those after them."""

    inspections: list[Inspected]
    next: Annotated[str | None, Field(description="To be sent as `after`; null at the end")]


class NewJudgement(BaseModel):
    """What a person says of an inspection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Annotated[Opinion | None, Field(description="Null takes the last one back")]
    by: Author = None
    note: Note = None
    whole_part: Annotated[
        bool, Field(description="Whether it is of the other views of the same part, too")
    ] = False


class Judgement(BaseModel):
    """What a person has said of an inspection, and when."""

    time: AwareDatetime
    verdict: Annotated[Opinion | None, Field(description="Null where the last one was taken back")]
    by: str | None
    note: str | None


class Inspection(Inspected):
    """All that is known of an inspection."""

    request_id: str
    key: Annotated[str | None, Field(description="Name of the API key that it came with")]
    model_digest: str | None
    raw_score: float
    normal: Normal
    regions: list[dict[str, Any]]
    references: list[dict[str, Any]]
    timing_ms: dict[str, float]
    width: int
    height: int
    media_type: str | None
    part_decision: Annotated[
        PartDecision | None,
        Field(description="Of its part, where that has several views; null until it is made"),
    ]
    judgements: Annotated[list[Judgement], Field(description="The oldest first")]
