"""A controller whose coils and registers others write by Modbus TCP, by pymodbus."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Any

from anyio.from_thread import start_blocking_portal
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from rig.address import free_address

SIZE = 100  # coils, and registers
ANY_UNIT = 0
WRITE_COIL, WRITE_REGISTERS = 5, 16  # function codes


class Plc:
    """What has been written to it, in order: address and values."""

    def __init__(self) -> None:
        self.address = free_address()
        self.coils: list[tuple[int, list[bool]]] = []
        self.registers: list[tuple[int, list[int]]] = []
        self._changed = Condition()

    def wait_for(self, done: Callable[[], Any], within_s: float) -> bool:
        """Whether it is so within that time."""
        with self._changed:
            return bool(self._changed.wait_for(done, within_s))

    async def serve(self) -> ModbusTcpServer:
        """A server that listens."""
        bits = [SimData(0, values=[False] * SIZE, datatype=DataType.BITS)]
        words = [SimData(0, values=[0] * SIZE, datatype=DataType.REGISTERS)]
        device = SimDevice(ANY_UNIT, simdata=(bits, bits, words, words), action=self._asked)
        host, _, port = self.address.partition(":")
        server = ModbusTcpServer(device, address=(host, int(port)))
        await server.serve_forever(background=True)
        return server

    async def _asked(
        self,
        function: int,
        _start: int,
        address: int,
        _count: int,
        _now: list[int],
        values: list[Any] | None,
    ) -> ExcCodes | None:
        if values is not None:
            with self._changed:
                {WRITE_COIL: self.coils, WRITE_REGISTERS: self.registers}[function].append(
                    (address, list(values))
                )
                self._changed.notify_all()
        return None


@contextmanager
def plc() -> Iterator[Plc]:
    """It listens while the block lasts."""
    controller = Plc()
    with start_blocking_portal() as portal:
        server = portal.call(controller.serve)
        try:
            yield controller
        finally:
            portal.call(server.shutdown)
