"""What a PLC does to have a part inspected, by Modbus TCP; needs pymodbus alone.

    python docs/examples/plc.py 127.0.0.1:5020 4711

0  the part is good      1  it is anomalous
2  a product that nobody has trained: look at it by hand
3  no decision: stop the line, or let the part through by hand
"""

import sys
import time

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

BASE = 0  # of the first line in the settings; the second begins at 100
RESULT_TRIGGER, TRIGGER = BASE + 1, BASE + 80
STATUS = {1: 0, 2: 1, 3: 2}  # by Decision
POLL_S, TIMEOUT_S = 0.02, 15.0  # longer than timeout_s of the gateway


def main(address: str, part: str = "") -> int:
    """The status of the part."""
    host, _, port = address.rpartition(":")
    try:
        with ModbusTcpClient(host, port=int(port)) as gateway:
            return STATUS.get(ask(gateway, part), 3)
    except (ModbusException, TimeoutError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 3


def ask(gateway: ModbusTcpClient, part: str) -> int:
    """Trigger, wait, read: the decision as a number."""
    last = read(gateway, TRIGGER, 1)[0]
    trigger = last % 65_535 + 1  # 1 to 65535; 0 is no trigger
    name = gateway.convert_to_registers(part.ljust(32, "\0"), gateway.DATATYPE.STRING)
    gateway.write_registers(TRIGGER, [trigger, *name])
    sys.stdout.write("triggered: take the picture\n")
    sys.stdout.flush()
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        answered, decision = read(gateway, RESULT_TRIGGER, 2)
        if answered == trigger:
            return decision
        time.sleep(POLL_S)
    raise TimeoutError(f"{trigger} was not answered in time")


def read(gateway: ModbusTcpClient, address: int, count: int) -> list[int]:
    """Registers; raises ModbusException."""
    answer = gateway.read_holding_registers(address, count=count)
    if answer.isError():
        raise ModbusException(f"registers from {address}: {answer}")
    return answer.registers


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
