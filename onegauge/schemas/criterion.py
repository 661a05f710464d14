"""What decides where a request brings no criterion."""

from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from onegauge.schemas.words import Author, Note, Rate, Threshold


class NewCriterion(BaseModel):
    """A threshold or a rate to decide by; null leaves that to the settings again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: Threshold = None
    max_false_alarm_rate: Rate = None
    by: Author = None
    note: Note = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if not self.model_fields_set & {"threshold", "max_false_alarm_rate"}:
            raise ValueError("give threshold or max_false_alarm_rate, a number or null")
        if self.threshold is not None and self.max_false_alarm_rate is not None:
            raise ValueError("give threshold or max_false_alarm_rate, not both")
        return self


class SavedCriterion(BaseModel):
    """What was saved, when and by whom; both null where the settings were to hold again."""

    time: AwareDatetime
    threshold: float | None
    max_false_alarm_rate: float | None
    by: str | None
    note: str | None


class CriterionCard(BaseModel):
    """The criterion that decides where a request brings none."""

    threshold: float | None
    max_false_alarm_rate: float | None
    saved: Annotated[bool, Field(description="Whether it was saved, not of the settings")]
    history: Annotated[list[SavedCriterion], Field(description="The last one first, up to 100")]
