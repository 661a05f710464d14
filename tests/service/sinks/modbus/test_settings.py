import pytest
from pydantic import ValidationError

from onegauge.service.sinks.modbus.settings import MAX_LINES, ModbusSettings


def settings(address: str = "0.0.0.0:502", **known: object) -> ModbusSettings:
    return ModbusSettings(kind="modbus", address=address, **{"lines": ["line-1"], **known})


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("0.0.0.0:502", "0.0.0.0", 502), ("[::1]:5020", "::1", 5020), ("plc.local:1", "plc.local", 1)],
)
def test_listens_where_the_address_says(address, host, port):
    said = settings(address)
    assert (said.host, said.port) == (host, port)


@pytest.mark.parametrize("address", ["0.0.0.0", ":502", "0.0.0.0:0", "0.0.0.0:65536", "a:b"])
def test_address_that_is_none_is_refused(address):
    with pytest.raises(ValidationError, match="it is not like 0.0.0.0:502"):
        settings(address)


def test_lines_have_to_be_listed():
    with pytest.raises(ValidationError, match="lines"):
        ModbusSettings(kind="modbus", address="0.0.0.0:502")
    with pytest.raises(ValidationError, match="lines"):
        settings(lines=[])


def test_line_that_is_named_twice_is_refused():
    with pytest.raises(ValidationError, match="'line-1' is named twice"):
        settings(lines=["line-1", "line-2", "line-1"])


def test_more_lines_than_fit_are_refused():
    lines = [f"line-{number}" for number in range(MAX_LINES + 1)]
    settings(lines=lines[1:])
    with pytest.raises(ValidationError, match="at most 655 items"):
        settings(lines=lines)
