"""What an inspection found."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from onegauge.schemas.model import ModelVersion
from onegauge.schemas.words import Verdict

LOW, HIGH = 0.0, 2.0  # score units at the ends of the picture encodings

Encoding: TypeAlias = Literal["png", "png16", "npy", "mask", "overlay"]
Box: TypeAlias = tuple[int, int, int, int]
Polygon: TypeAlias = list[tuple[float, float]]
PartWord: TypeAlias = Verdict | Literal["incomplete"]


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
        str | None,
        Field(description="Id of its record and event; null where there are neither"),
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


class PartDecision(BaseModel):
    """What is known of a part of several views."""

    part: str
    views: Annotated[int, Field(description="How many were announced")]
    seen: Annotated[int, Field(description="How many are in")]
    missing: Annotated[int, Field(description="How many are still to come")]
    decision: Annotated[
        PartWord | None, Field(description="Null until the last view is in or the time is over")
    ]
    inspections: Annotated[list[str], Field(description="Ids of its views; empty without records")]


class Answer(BaseModel):
    """What an inspection found, image by image, in the order sent."""

    model: ModelVersion
    part: Annotated[PartDecision | None, Field(description="Null without `views`")] = None
    results: list[Decision | Rejection]
