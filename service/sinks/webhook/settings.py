"""Settings of a sink of the kind `webhook`."""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from httpx import URL, InvalidURL
from pydantic import Field, field_validator

from onegauge.service.sinks.settings import DeliverySettings
from onegauge.service.sinks.webhook.secrets import read_authorization, read_secret
from onegauge.service.sinks.wire import Wire


class WebhookSettings(DeliverySettings):
    """Where events are posted to, and how the receiver knows by whom."""

    kind: Literal["webhook"]
    url: str
    secret_file: Path | None = None
    authorization_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    batch: Annotated[int, Field(ge=1, le=1000)] = 100

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        with suppress(InvalidURL):
            parts = URL(url)
            if parts.userinfo:
                raise ValueError("it has a user: set authorization_file instead")
            if parts.scheme in ("http", "https") and parts.host:
                return url
        raise ValueError("it is not like https://mes.example/onegauge")

    def wire(self, name: str, gateway: str) -> Wire:  # noqa: ARG002
        """Posts events; raises InvalidSinks for files that cannot be used."""
        from onegauge.service.sinks.webhook.wire import Address, Webhook

        secret = self.read(name, "secret_file", read_secret)
        self.read(name, "authorization_file", read_authorization)
        context = self.read(name, "ca_file", lambda file: ssl.create_default_context(cafile=file))
        address = Address(
            self.url,
            context or ssl.create_default_context(),
            self.timeout_s,
            secret,
            self.authorization_file,
        )
        return Webhook(address, self.batch)
