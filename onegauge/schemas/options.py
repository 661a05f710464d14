"""What a request for an inspection may ask."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from onegauge.schemas.answer import Encoding
from onegauge.schemas.words import NewLine, PartName, Rate, Threshold, ViewName

VIEWS_MAX = 64


class Options(BaseModel):
    """Options of an inspection, as query parameters or form fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: NewLine = None
    part: PartName = None
    views: Annotated[
        int | None,
        Field(ge=1, le=VIEWS_MAX, description="How many pictures of the part make its decision"),
    ] = None
    view: ViewName = None
    map: Annotated[
        Literal["none", Encoding],
        Field(description="Encoding of the anomaly map in the answer"),
    ] = "none"
    contours: Annotated[
        bool, Field(description="Whether regions have their outlines as polygons")
    ] = False
    explain: Annotated[
        bool, Field(description="Whether to tell which normal images the answer rests on")
    ] = False
    threshold: Threshold = None
    max_false_alarm_rate: Rate = None

    @model_validator(mode="after")
    def _one_criterion(self) -> Self:
        if self.threshold is not None and self.max_false_alarm_rate is not None:
            raise ValueError("give threshold or max_false_alarm_rate, not both")
        return self

    @model_validator(mode="after")
    def _views_of_a_part(self) -> Self:
        if self.views is not None and self.part is None:
            raise ValueError("views needs part: give the part that they are of")
        if self.view is not None and self.views is None:
            raise ValueError("view needs views: give how many the part has")
        return self
