"""What a request for an inspection may ask."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from onegauge.schemas.words import LineName, PartName, Rate, Threshold


class Options(BaseModel):
    """Options of an inspection, as query parameters or form fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: LineName = None
    part: PartName = None
    map: Annotated[
        Literal["none", "png", "png16", "npy", "mask", "overlay"],
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
