"""The gateway's settings, read from the environment (`ONEGAUGE_*`) and passed in explicitly."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from PIL import Image
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBI = 2**20
# Above this, Pillow itself begins to warn and to refuse.
PILLOW_MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 2**26


def default_repository() -> Path:
    """`model_repository` of the current directory, else the one beside the installed package."""
    here = Path("model_repository")
    return here if here.is_dir() else Path(__file__).parents[1] / "model_repository"


class Settings(BaseSettings):
    """One field per `ONEGAUGE_` variable; see docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix="ONEGAUGE_", frozen=True)

    backend: Literal["onnx", "openvino", "triton"] = "onnx"
    repository: Path = Field(default_factory=default_repository)
    model: str = "onegauge"
    triton_url: str = "localhost:8001"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000

    threshold: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    max_false_alarm_rate: Annotated[float, Field(gt=0, lt=1)] | None = None

    max_request_bytes: PositiveInt = 128 * MEBI
    max_image_bytes: PositiveInt = 32 * MEBI
    max_images: PositiveInt = 64
    max_pixels: Annotated[int, Field(gt=0, le=PILLOW_MAX_PIXELS)] = 50_000_000
    max_map_pixels: PositiveInt = 16_000_000
    max_in_flight: PositiveInt = 16

    decode_threads: PositiveInt = Field(default_factory=lambda: os.cpu_count() or 1)
    inference_threads: Annotated[int, Field(ge=0)] = 0
    read_timeout: PositiveFloat = 60.0
    inference_timeout: PositiveFloat = 30.0

    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _one_criterion(self) -> Self:
        if self.max_false_alarm_rate is not None and "threshold" in self.model_fields_set:
            raise ValueError("set ONEGAUGE_THRESHOLD or ONEGAUGE_MAX_FALSE_ALARM_RATE, not both")
        return self
