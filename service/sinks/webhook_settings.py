"""Settings of a sink of the kind `webhook`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from onegauge.service.sinks.settings import DeliverySettings
from onegauge.service.sinks.wire import Wire


class WebhookSettings(DeliverySettings):
    """Where events are posted to, and how they are signed."""

    kind: Literal["webhook"]
    url: str
    secret_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    batch: Annotated[int, Field(ge=1, le=1000)] = 100

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("it is not like https://mes.example/onegauge")
        return url

    def wire(self, name: str, gateway: str) -> Wire:
        """Posts events; raises InvalidSinks for files that cannot be used."""
        raise NotImplementedError
