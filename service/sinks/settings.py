"""What the settings of all sinks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from onegauge.service.settings import RateLimit
from onegauge.service.sinks.choice import Choice, Send
from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.wire import Wire

T = TypeVar("T")
MEBI = 2**20


class SinkSettings(BaseModel, ABC):
    """Of any sink, such as one that shows the last state; a kind of sink has a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    enabled: bool = True
    lines: Annotated[tuple[str, ...], Field(min_length=1)] | None = None  # None for all

    @property
    def choice(self) -> Choice:
        """Which decisions the sink gets."""
        return Choice(lines=self._lines)

    @property
    def rate(self) -> str | None:
        """How many of them it takes, None for all."""
        return None

    @property
    def _lines(self) -> frozenset[str] | None:
        return None if self.lines is None else frozenset(self.lines)

    def read(self, name: str, key: str, read: Callable[[Path], T]) -> T | None:
        """What the file of a key has, None where none is given; raises InvalidSinks."""
        file: Path | None = getattr(self, key)
        try:
            return None if file is None else read(file)
        except (OSError, TypeError, ValueError) as exc:  # SSLError is an OSError
            why = getattr(exc, "strerror", None) or str(exc)
            told = f"sink {name}: {key} = {str(file)!r} cannot be used: {why}"
            raise InvalidSinks(told) from exc

    @abstractmethod
    def wire(self, name: str, gateway: str) -> Wire:
        """The way of the sink `name`; raises InvalidSinks, and BackendUnavailable for a library."""


class DeliverySettings(SinkSettings):
    """Of a sink that brings each event somewhere, and keeps it until it could."""

    send: Send = "all"
    rate_limit: RateLimit | None = None
    spool_bytes: Annotated[int, Field(ge=MEBI)] = 256 * MEBI

    @property
    def choice(self) -> Choice:
        """Which decisions the sink gets."""
        return Choice(self.send, self._lines)

    @property
    def rate(self) -> str | None:
        """How many of them it takes, None for all."""
        return self.rate_limit
