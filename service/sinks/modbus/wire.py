"""Modbus TCP: the stations of lines as registers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from onegauge.service.sinks.event import Event
from onegauge.service.sinks.modbus.registers import A_LINE, Registers
from onegauge.service.sinks.modbus.settings import ModbusSettings
from onegauge.service.sinks.seldom import Seldom
from onegauge.service.sinks.serving import Serving
from onegauge.service.sinks.station import Station
from onegauge.service.sinks.stations import Stations

_ANY_UNIT = 0  # the device of all unit ids
_BITS, _WRITES = (1, 2), (6, 16, 22, 23)  # function codes


class Modbus:
    """A wire that controllers read, and write their triggers to."""

    at_once = 100

    def __init__(self, settings: ModbusSettings) -> None:
        self._word_order, self._address = settings.word_order, (settings.host, settings.port)
        self._stations = Stations(settings.lines, partial(Station, settings.timeout_s))
        self._lines: list[Registers] = []
        self._serving = Serving("Modbus", *self._address, self._listening)

    def open(self) -> None:
        """Listen; raises SinkUnavailable."""
        Seldom.listen("pymodbus")
        self._stations.forget_triggers()
        stations = [self._stations[line] for line in self._stations.lines()]
        self._lines = [Registers(station, self._word_order) for station in stations]
        self._serving.start()

    def send(self, events: Sequence[Event]) -> None:
        """Show what was decided; raises SinkUnavailable where nobody listens any more."""
        self._stations.take(events)
        self._serving.check()

    def close(self) -> None:
        """Let all controllers go."""
        self._serving.stop()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        size = A_LINE * len(self._lines)
        bits = [SimData(0, values=[False] * size, datatype=DataType.BITS)]
        words = [SimData(0, values=[0] * size, datatype=DataType.REGISTERS)]
        device = SimDevice(_ANY_UNIT, simdata=(bits, bits, words, words), action=self._asked)
        server = ModbusTcpServer(device, address=self._address)
        await server.serve_forever(background=True)
        try:
            yield
        finally:
            server.close()

    async def _asked(
        self,
        function: int,
        _start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """A controller reads or writes: have the registers up to date before."""
        if values is not None:
            return None if self._write(function, address, values) else ExcCodes.ILLEGAL_ADDRESS
        of_bits = function in _BITS
        first, end = address // A_LINE, address + (16 * count if of_bits else count)
        for index, line in enumerate(self._lines[first : -(-end // A_LINE)], start=first):
            base = index * A_LINE
            if of_bits:
                _set_bits(registers, base, line.bits())
            else:
                registers[base : base + A_LINE] = line.words()
        return None

    def _write(self, function: int, address: int, values: Sequence[int]) -> bool:
        """Whether a controller may write there."""
        index, offset = divmod(address, A_LINE)
        return function in _WRITES and self._lines[index].write(offset, values)


def _set_bits(words: list[int], base: int, bits: Sequence[bool]) -> None:
    """Have bits in words of 16, the lowest first."""
    for position, on in enumerate(bits, start=base):
        word, bit = divmod(position, 16)
        words[word] = words[word] & ~(1 << bit) | on << bit
