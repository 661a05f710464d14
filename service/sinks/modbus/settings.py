"""What a sink that speaks Modbus TCP may be told."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat

from onegauge.service.sinks.modbus.registers import A_LINE, WordOrder
from onegauge.service.sinks.settings import SinkSettings
from onegauge.service.sinks.wire import Wire

MAX_LINES = 2**16 // A_LINE


def _distinct(lines: tuple[str, ...]) -> tuple[str, ...]:
    """A line has one block of registers."""
    if twice := [line for line in dict.fromkeys(lines) if lines.count(line) > 1]:
        raise ValueError(f"{twice[0]!r} is named twice")
    return lines


def _host_and_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError("it is not like 0.0.0.0:502 or [::]:502")
    return address


class ModbusSettings(SinkSettings):
    """Of a server whose registers controllers read."""

    kind: Literal["modbus"]
    address: Annotated[str, AfterValidator(_host_and_port)]
    lines: Annotated[  # in the order of their registers
        tuple[str, ...], Field(min_length=1, max_length=MAX_LINES), AfterValidator(_distinct)
    ]
    timeout_s: PositiveFloat = 10.0  # of a trigger
    word_order: WordOrder = "big"

    @property
    def host(self) -> str:
        """Where it listens."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.address.rpartition(":")[2])

    def wire(self, name: str, gateway: str) -> Wire:  # noqa: ARG002
        """A server that does not listen yet."""
        from onegauge.service.sinks.modbus.wire import Modbus

        return Modbus(self)
