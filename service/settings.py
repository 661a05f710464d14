"""The gateway's settings, read from the environment (`ONEGAUGE_*`) and passed in explicitly."""

import os
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from onegauge.cores import cores
from onegauge.records.url import SQLITE, beside, url_of

MEBI = 2**20
POSTGRESQL = ("postgresql://", "postgresql+psycopg://")


def default_repository() -> Path:
    """`model_repository` of the current directory, else the one beside the installed package."""
    here = Path("model_repository")
    return here if here.is_dir() else Path(__file__).parents[2] / "model_repository"


def _rate(limit: str) -> str:
    from limits import parse  # takes long, and few gateways have a rate

    try:
        parse(limit)
    except ValueError as exc:
        raise ValueError(f"{limit!r} is not like 20/second or 1000/hour") from exc
    return limit


RateLimit = Annotated[str, AfterValidator(_rate)]  # as `limits` reads it


class Settings(BaseModel):
    """One field per `ONEGAUGE_` variable, read where none is given; see docs/settings.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Literal["onnx", "openvino", "triton"] = "onnx"
    repository: Path = Field(default_factory=default_repository)
    model: str = "onegauge"
    triton_url: str = "localhost:8001"
    triton_admin_key: Path | None = None
    triton_shared_memory: bool = False
    shadow_version: Annotated[str, Field(pattern=r"^\d+$")] | None = None
    shadow_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000

    api_keys: Literal["off"] | Path | None = None
    rate_limit: RateLimit | None = None
    metrics_need_key: bool = False
    cors_origins: tuple[str, ...] = ()

    threshold: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    max_false_alarm_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    part_timeout_s: PositiveFloat = 60.0

    records: str = ""
    records_spool: Path | None = None
    records_spool_bytes: PositiveInt = 256 * MEBI
    records_days: PositiveInt = 365
    keep: str = "anomalous,near,sample:0.01"
    pictures: str | None = None
    pictures_days: PositiveInt = 90
    pictures_bytes: PositiveInt = 20 * 1024 * MEBI

    sinks: Path | None = None
    sinks_spool: Path | None = None
    # a pattern that counts to 64 takes 7 MB
    source: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=64)] | None = None

    max_request_bytes: PositiveInt = 128 * MEBI
    max_image_bytes: PositiveInt = 32 * MEBI
    max_images: PositiveInt = 64
    max_pixels: Annotated[int, Field(gt=0, le=2**28)] = 50_000_000
    max_map_pixels: PositiveInt = 16_000_000
    max_in_flight: PositiveInt = 16
    max_waiting: Annotated[int, Field(ge=0)] = 64
    max_buffered_bytes: PositiveInt = 512 * MEBI

    decode_threads: PositiveInt = Field(default_factory=cores)
    inference_workers: PositiveInt | None = None
    inference_threads: Annotated[int, Field(ge=0)] = 0
    read_timeout_s: PositiveFloat = 30.0
    stall_timeout_s: PositiveFloat = 5.0
    request_timeout_s: PositiveFloat = 60.0
    drain_s: Annotated[float, Field(ge=0)] = 0.0
    grace_s: PositiveInt = 30

    tracing: bool = False
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def place_of_pictures(self) -> str | None:
        """The folder or bucket of the kept pictures, None where records have none."""
        default = beside(self.records, "pictures")
        return self.pictures or (str(default) if default else None)

    @property
    def place_of_spool(self) -> Path:
        """The folder of the records that wait for their database."""
        place = self.records_spool or beside(self.records, "spool")
        assert place is not None
        return place

    @model_validator(mode="before")
    @classmethod
    def _with_environment(cls, given: dict[str, object]) -> dict[str, object]:
        names = {name: f"ONEGAUGE_{name.upper()}" for name in cls.model_fields}
        return {f: os.environ[name] for f, name in names.items() if name in os.environ} | given

    @model_validator(mode="after")
    def _places_of_records(self) -> Self:
        """A server of databases has no folder beside it."""
        if not self.records.startswith(POSTGRESQL):
            return self
        missing = ["ONEGAUGE_RECORDS_SPOOL"] if self.records_spool is None else []
        if self.keep != "none" and not self.pictures:
            missing.append("ONEGAUGE_PICTURES")
        if missing:
            raise ValueError(
                f"records in PostgreSQL need {' and '.join(missing)}: a folder of this gateway "
                "that outlives it, or for pictures s3://BUCKET/PREFIX"
            )
        return self

    @field_validator("records")
    @classmethod
    def _database(cls, told: str) -> str:
        try:
            records = url_of(told)
        except (OSError, ValueError) as exc:
            raise ValueError(f"{told} cannot be read") from exc
        if records and not records.startswith((SQLITE, *POSTGRESQL)):
            raise ValueError(
                "it is not like sqlite:///records.db or postgresql+psycopg://USER@HOST/NAME, "
                "nor a file that has such a URL"
            )
        return records

    @model_validator(mode="after")
    def _one_criterion(self) -> Self:
        if self.max_false_alarm_rate is not None and "threshold" in self.model_fields_set:
            raise ValueError("set ONEGAUGE_THRESHOLD or ONEGAUGE_MAX_FALSE_ALARM_RATE, not both")
        return self

    @model_validator(mode="after")
    def _who_shares_memory(self) -> Self:
        if self.triton_shared_memory and not (
            self.backend == "triton" and "," not in self.triton_url and "//" not in self.triton_url
        ):
            raise ValueError(
                "ONEGAUGE_TRITON_SHARED_MEMORY needs ONEGAUGE_BACKEND=triton and one server on "
                f"this host, such as localhost:8001; ONEGAUGE_TRITON_URL is {self.triton_url!r}"
            )
        return self

    @model_validator(mode="after")
    def _room_for_one_request(self) -> Self:
        if self.max_buffered_bytes < self.max_request_bytes:
            raise ValueError(
                "ONEGAUGE_MAX_BUFFERED_BYTES must hold one request of ONEGAUGE_MAX_REQUEST_BYTES"
            )
        return self

    @model_validator(mode="after")
    def _keys_or_none(self) -> Self:
        if self.api_keys is None:
            raise ValueError(
                "set ONEGAUGE_API_KEYS to a file that onegauge key writes, or to off, so that "
                "everybody who can reach the gateway may use it"
            )
        return self

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins(cls, origins: object) -> object:
        return tuple(filter(None, origins.split(","))) if isinstance(origins, str) else origins

    @field_validator("triton_url")
    @classmethod
    def _addresses(cls, url: str) -> str:
        """Several servers are IP addresses, since gRPC resolves one name only."""
        for address in url.split(",") if "," in url else ():
            host, _, port = address.rpartition(":")
            try:
                IPv4Address(host)
            except ValueError as exc:
                raise ValueError(
                    f"{address!r} in a list of servers is not like 10.0.0.7:8001; "
                    "for servers behind one name, give dns:///name:8001 alone"
                ) from exc
            if not port.isdecimal():
                raise ValueError(f"{address!r} has no port: write it like 10.0.0.7:8001")
        return url
