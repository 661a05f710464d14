"""Settings of a sink that is an MQTT broker."""

import ssl
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from onegauge.service.errors import needed_by
from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.settings import DeliverySettings
from onegauge.service.sinks.wire import Wire

PORTS = {"mqtt": 1883, "mqtts": 8883}


class MqttSettings(DeliverySettings):
    """Of a sink of kind `mqtt`."""

    kind: Literal["mqtt"]
    url: str
    topic: Annotated[str, Field(min_length=1, max_length=1000)] = "onegauge"
    user: Annotated[str, Field(min_length=1)] | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def wire(self, name: str, gateway: str) -> Wire:
        """Publishes events.

        Raises InvalidSinks for files that cannot be used, and BackendUnavailable without paho.
        """
        with needed_by(f"the sink {name}", "plant"):
            from onegauge.service.sinks.mqtt.wire import Mqtt
        self._look_at_files(name)
        return Mqtt(self, f"onegauge-{gateway}-{name}", gateway)

    @property
    def host(self) -> str:
        """Name or address of the broker."""
        return str(urlsplit(self.url).hostname)

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]

    def password(self) -> str | None:
        """As its file has it now; raises OSError."""
        return self.password_file.read_text().strip("\r\n") if self.password_file else None

    def tls_context(self) -> ssl.SSLContext | None:
        """How to trust the broker and be trusted; raises OSError."""
        if not self.url.startswith("mqtts:"):
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file, password="")  # asks nobody
        return context

    @field_validator("url")
    @classmethod
    def _of_a_broker(cls, url: str) -> str:
        """Nothing but the way to it."""
        try:
            parts = urlsplit(url)
            plain = parts.scheme in PORTS and parts.port != 0 and bool(parts.hostname)
            str(parts.hostname).encode("idna")
        except ValueError as exc:
            raise ValueError(f"it is no URL: {exc}") from exc
        if parts.username is not None:
            raise ValueError("it has a user: set user and password_file instead")
        if not plain or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("it is not like mqtt://broker:1883 or mqtts://broker:8883")
        return url

    @field_validator("topic")
    @classmethod
    def _can_be_published_to(cls, topic: str) -> str:
        """The beginning of names, not a filter."""
        if not topic.isprintable() or set("+#") & set(topic) or topic.startswith("$"):
            raise ValueError(
                f"{topic!r} has what topics cannot: +, #, control characters, or $ first"
            )
        if "" in topic.split("/"):
            raise ValueError(
                f"{topic!r} has an empty level: write it like onegauge or plant/onegauge"
            )
        return topic

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.password_file and not self.user:
            raise ValueError("password_file needs user")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file")
        if (self.ca_file or self.cert_file) and not self.url.startswith("mqtts:"):
            raise ValueError(f"ca_file and cert_file need mqtts://, and url is {self.url!r}")
        return self

    def _look_at_files(self, name: str) -> None:
        """They are read again whenever the broker is reached; a wrong one is told at start."""
        for key in ("password_file", "ca_file", "cert_file", "key_file"):
            self.read(name, key, Path.read_text)
        try:
            self.tls_context()
        except OSError as exc:  # SSLError is one
            told = f"sink {name}: ca_file, cert_file and key_file cannot be used: {exc}"
            raise InvalidSinks(told) from exc
