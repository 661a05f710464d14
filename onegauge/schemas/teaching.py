"""What a gateway makes of marked images: proposals of another version, step by step."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from onegauge.schemas.words import Author

NextState: TypeAlias = Literal["shadowed", "served", "rolled_back", "withdrawn"]
ProposalState: TypeAlias = NextState | Literal["making", "failed", "candidate"]
Hindrance: TypeAlias = Literal["pictures", "extra", "repository", "library", "precision"]


class ProposalStep(BaseModel):
    """What a proposal became, when, and who wanted it so."""

    state: ProposalState
    time: AwareDatetime
    by: str | None


class Trial(BaseModel):
    """How many images a version in the shadow decided as the served one, and how many otherwise."""

    same: int
    other: int


class Proposal(BaseModel):
    """A version that is made of the served one, and what it would change."""

    number: int
    model: str
    base: Annotated[str, Field(description="The version that was served when it was begun")]
    version: Annotated[str | None, Field(description="The one that came of it, once it is made")]
    state: ProposalState
    removed: Annotated[list[str], Field(description="Ids of normal images that leave")]
    said: Annotated[list[str], Field(description="What the command said that made it")]
    effect: Annotated[
        dict[str, Any] | None, Field(description="As `onegauge records replay --json` tells it")
    ]
    error: str | None
    steps: Annotated[list[ProposalStep], Field(description="The oldest first")]
    trial: Annotated[Trial | None, Field(description="On this gateway; null unless it is tried")]


class ProposalList(BaseModel):
    """What waits to be learnt, and what was made of it."""

    served: Annotated[str, Field(description="The version that answers")]
    hindrance: Annotated[
        Hindrance | None, Field(description="Why this model cannot be taught from here")
    ]
    waiting: Annotated[int, Field(description="Images that the next proposal would be made of")]
    proposals: Annotated[list[Proposal], Field(description="The newest first, up to 20")]


class NewProposal(BaseModel):
    """A version to be made: of all that waits, or without some normal images."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    remove: Annotated[
        list[Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]] | None,
        Field(min_length=1, max_length=500, description="Ids of normal images that are to leave"),
    ] = None
    by: Author = None


class NewState(BaseModel):
    """The next step of a proposal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: NextState
    by: Author = None
