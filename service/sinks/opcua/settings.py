"""What a sink that speaks OPC UA may be told."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, PositiveFloat, model_validator

from onegauge.service.errors import needed_by
from onegauge.service.sinks.settings import SinkSettings
from onegauge.service.sinks.wire import Wire

DEFAULT_PORT = 4840


def _url(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        fits = parts.scheme == "opc.tcp" and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("it is not like opc.tcp://0.0.0.0:4840/onegauge")
    return endpoint


class OpcUaSettings(SinkSettings):
    """Of a server whose nodes controllers and SCADA read."""

    kind: Literal["opcua"]
    endpoint: Annotated[str, AfterValidator(_url)]
    timeout_s: PositiveFloat = 10.0  # of a trigger
    user: str | None = None  # None for everybody
    password_file: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None

    @property
    def host(self) -> str:
        """Where it listens."""
        return urlsplit(self.endpoint).hostname or ""

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urlsplit(self.endpoint).port or DEFAULT_PORT

    def wire(self, name: str, gateway: str) -> Wire:  # noqa: ARG002
        """A server that does not listen yet."""
        with needed_by(f"the sink {name} of kind opcua", "plant"):
            from onegauge.service.sinks.opcua.wire import OpcUa
        return OpcUa(self, name)

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        for one, other in (("user", "password_file"), ("certificate", "private_key")):
            given = [name for name in (one, other) if getattr(self, name) is not None]
            if len(given) == 1:
                raise ValueError(f"{one} and {other} go together; only {given[0]} is given")
        return self
