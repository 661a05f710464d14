"""What becomes of decisions on their way to a plant."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class SinkState(BaseModel):
    """A sink of a gateway, and its events since that has started."""

    name: str
    kind: str
    enabled: Annotated[bool, Field(description="Whether it takes decisions and delivers them")]
    reachable: Annotated[bool, Field(description="False while what it delivers to takes nothing")]
    waiting: Annotated[int, Field(description="Events in memory")]
    spooled_bytes: Annotated[int, Field(description="Events on disk")]
    lag_s: Annotated[float, Field(description="Age of the oldest event that is to be delivered")]
    events: Annotated[dict[str, int], Field(description="How many, by what became of them")]
    last_error: str | None


class SinkList(BaseModel):
    """The sinks of a gateway."""

    sinks: list[SinkState]


class SinkSwitch(BaseModel):
    """Whether a sink is to take decisions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool
