"""What is served, and by which version."""

from typing import Literal

from pydantic import BaseModel


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
