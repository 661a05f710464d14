"""Settings of a sink of the kind `webhook`."""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from httpx import URL, InvalidURL
from pydantic import Field, field_validator

from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.settings import DeliverySettings
from onegauge.service.sinks.webhook.signature import read_secret
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
        with suppress(InvalidURL):
            parts = URL(url)
            if parts.scheme in ("http", "https") and parts.host:
                return url
        raise ValueError("it is not like https://mes.example/onegauge")

    def wire(self, name: str, gateway: str) -> Wire:  # noqa: ARG002
        """Posts events; raises InvalidSinks for files that cannot be used."""
        from onegauge.service.sinks.webhook.wire import Address, Webhook

        secret = read_secret(self.secret_file, name) if self.secret_file else None
        return Webhook(Address(self.url, secret, self._context(name), self.timeout_s), self.batch)

    def _context(self, name: str) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as exc:  # SSLError is one
            why = exc.strerror or str(exc)
            told = f"sink {name}: ca_file = {str(self.ca_file)!r} cannot be used: {why}"
            raise InvalidSinks(told) from exc
