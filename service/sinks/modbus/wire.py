"""Modbus TCP: the stations of lines as registers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from onegauge.service.sinks.event import Event
from onegauge.service.sinks.modbus.controller import Controller
from onegauge.service.sinks.modbus.memory import Memory
from onegauge.service.sinks.modbus.registers import Registers
from onegauge.service.sinks.modbus.settings import ModbusSettings
from onegauge.service.sinks.serving import Serving
from onegauge.service.sinks.station import Station
from onegauge.service.sinks.stations import Stations


class Modbus:
    """A wire that controllers read, and write their triggers to."""

    at_once = 100

    def __init__(self, settings: ModbusSettings) -> None:
        self._word_order, self._address = settings.word_order, (settings.host, settings.port)
        self._stations = Stations(settings.lines, partial(Station, settings.timeout_s))
        self._serving = Serving("Modbus", *self._address, self._listening)

    def open(self) -> None:
        """Listen; raises SinkUnavailable."""
        self._stations.forget_triggers()
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
        stations = (self._stations[line] for line in self._stations.lines())
        memory = Memory([Registers(station, self._word_order) for station in stations])
        controllers: set[asyncio.Transport] = set()
        server = await asyncio.get_running_loop().create_server(
            partial(Controller, memory, controllers), *self._address
        )
        try:
            yield
        finally:
            server.close()
            for controller in controllers:
                controller.abort()
