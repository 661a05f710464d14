"""The wire format of requests and answers, for gateway and client; see docs/api.md."""

from typing import Annotated, Literal, Self, TypeAlias
from unicodedata import normalize

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

LINE_MAX_LENGTH, PART_MAX_LENGTH = 64, 128
LOW, HIGH = 0.0, 2.0  # score units at the ends of the picture encodings

Verdict: TypeAlias = Literal["normal", "anomalous"]
Encoding: TypeAlias = Literal["png", "png16", "npy", "mask", "overlay"]
Box: TypeAlias = tuple[int, int, int, int]
Polygon: TypeAlias = list[tuple[float, float]]


def _part(given: object) -> object:
    """Spelt in one way, without the line end of a scanner; None where nothing is left."""
    return normalize("NFC", given).strip() or None if isinstance(given, str) else given


PartName: TypeAlias = Annotated[
    str | None,
    Field(
        max_length=PART_MAX_LENGTH,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
        description="Serial number or order of the part; several images may be of one",
    ),
    BeforeValidator(_part),
]


class Options(BaseModel):
    """Options of an inspection, as query parameters or form fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: Annotated[
        str | None,
        Field(max_length=LINE_MAX_LENGTH, description="Label of the line in metrics and logs"),
    ] = None
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
    threshold: Annotated[
        float | None,
        Field(allow_inf_nan=False, description="Least score of an anomalous image"),
    ] = None
    max_false_alarm_rate: Annotated[
        float | None,
        Field(gt=0, lt=1, description="Decide by the p-value, at this false-alarm rate"),
    ] = None

    @field_validator("line", mode="before")
    @classmethod
    def _spelt_in_one_way(cls, line: object) -> object:
        return normalize("NFC", line) if isinstance(line, str) else line

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
