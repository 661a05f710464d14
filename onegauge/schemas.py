"""The wire format of requests and answers, for gateway and client; see docs/api.md."""

from typing import Annotated, Any, Literal, Self, TypeAlias
from unicodedata import normalize

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

LINE_MAX_LENGTH, PART_MAX_LENGTH = 64, 128
PAGE_MAX_LENGTH = 500
_PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"  # text that any database takes
LOW, HIGH = 0.0, 2.0  # score units at the ends of the picture encodings

Verdict: TypeAlias = Literal["normal", "anomalous"]
Opinion: TypeAlias = Literal["confirmed", "false_alarm", "missed", "unclear"]
Encoding: TypeAlias = Literal["png", "png16", "npy", "mask", "overlay"]
Box: TypeAlias = tuple[int, int, int, int]
Polygon: TypeAlias = list[tuple[float, float]]


def _spelt_in_one_way(given: object) -> object:
    return normalize("NFC", given) if isinstance(given, str) else given


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

PartName: TypeAlias = Annotated[
    str | None,
    Field(
        max_length=PART_MAX_LENGTH,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
        description="Serial number or order of the part; several images may be of one",
    ),
    BeforeValidator(_as_scanned),
]


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


class ModelCard(BaseModel):
    """What is served."""

    name: str
    version: str
    backend: str
    height: int
    width: int
    map_height: int
    map_width: int
    max_batch_size: int
    threshold: float | None
    max_false_alarm_rate: float | None
    parameters: dict[str, str]


class ModelVersion(BaseModel):
    """The model version that decided."""

    name: str
    version: str


class RefusedVersion(BaseModel):
    """A version that was to be served, and why it is not."""

    version: str
    detail: str


class Readiness(BaseModel):
    """The gateway would answer, by this version."""

    status: Literal["ready"] = "ready"
    model: ModelVersion
    refused: RefusedVersion | None


class Normal(BaseModel):
    """Location and scale of raw scores of normal images like this one."""

    location: float
    scale: float


class NormalPatch(BaseModel):
    """The place in a normal image that is most like the peak of a region."""

    reference: Annotated[str, Field(description="Id of the normal image")]
    origin: Annotated[str, Field(description="Its name below the folder that it was added from")]
    box: Annotated[Box, Field(description="x, y, width, height in its own pixels")]


class RegionAnswer(BaseModel):
    """A connected anomalous region in the pixels of the original image."""

    box: Annotated[Box, Field(description="x, y, width, height")]
    area: int
    peak: Annotated[float, Field(description="Highest map value, in score units")]
    mean: Annotated[float, Field(description="Mean map value, in score units")]
    contours: Annotated[
        list[Polygon],
        Field(description="Closed outlines as x, y; of holes too; empty unless asked"),
    ]
    normal: Annotated[NormalPatch | None, Field(description="Null unless asked")] = None


class ReferenceAnswer(BaseModel):
    """A normal image that looks like the inspected one."""

    id: Annotated[str, Field(description="The first 12 digits of its file's SHA-256")]
    origin: Annotated[str, Field(description="Its name below the folder that it was added from")]
    similarity: Annotated[
        float, Field(description="exp(-(d / d5)²), d its distance, d5 that of the fifth nearest")
    ]


class Explanation(BaseModel):
    """What a decision rests on."""

    references: Annotated[
        list[ReferenceAnswer], Field(description="The nearest five, the nearest first")
    ]


class Scale(BaseModel):
    """Map values, in score units, of the darkest and the brightest level of a picture."""

    low: float = LOW
    high: float = HIGH


class MapAnswer(BaseModel):
    """The anomaly map as a PNG, JPEG or .npy file: in base64, or in a part of its own."""

    encoding: Encoding
    width: int
    height: int
    scale: Scale | None
    data: Annotated[str | None, Field(description="base64; null where it is a part")] = None
    part: Annotated[str | None, Field(description="Name of the part of a multipart answer")] = None
    content: SkipJsonSchema[bytes] = Field(b"", exclude=True, repr=False)


class ProblemDetails(BaseModel):
    """RFC 9457 problem details; a problem may have further members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class Rejection(BaseModel):
    """An image that could not be inspected."""

    index: int
    filename: str | None
    problem: ProblemDetails


class Decision(BaseModel):
    """An inspected image."""

    index: int
    filename: str | None
    inspection: Annotated[
        str | None, Field(description="Id of its record; null where records are off")
    ] = None
    decision: Verdict
    score: float
    threshold: float | None
    max_false_alarm_rate: float | None
    p_value: float
    novelty: float
    unknown_product: bool
    raw_score: float
    normal: Normal
    regions: list[RegionAnswer]
    explanation: Annotated[Explanation | None, Field(description="Null unless asked")] = None
    anomaly_map: MapAnswer | None
    timing_ms: dict[str, float]


class Answer(BaseModel):
    """What an inspection found, image by image, in the order sent."""

    model: ModelVersion
    results: list[Decision | Rejection]


class Search(BaseModel):
    """Which inspections a page is to have: those that all of it holds for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Annotated[Moment | None, Field(description="From this time on")] = None
    until: Annotated[Moment | None, Field(description="Before this time")] = None
    line: LineName = None
    part: PartName = None
    decision: Annotated[Verdict | None, Field(description="What was decided")] = None
    verdict: Annotated[
        Opinion | Literal["none"] | None, Field(description="What a person said; none: nothing")
    ] = None
    min_score: Annotated[float | None, Field(allow_inf_nan=False)] = None
    max_score: Annotated[float | None, Field(allow_inf_nan=False)] = None
    model: Annotated[str | None, Field(description="Name of the model that decided")] = None
    version: Annotated[str | None, Field(description="Its version")] = None
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


Author: TypeAlias = Annotated[
    str | None, Field(max_length=64, pattern=_PLAIN, description="Who; else the key's name")
]
Note: TypeAlias = Annotated[str | None, Field(max_length=1000, pattern=_PLAIN)]


class NewJudgement(BaseModel):
    """What a person says of an inspection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Annotated[Opinion | None, Field(description="Null takes the last one back")]
    by: Author = None
    note: Note = None
    whole_part: Annotated[
        bool, Field(description="Whether it is of the other pictures of the same part, too")
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
    judgements: Annotated[list[Judgement], Field(description="The oldest first")]


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
