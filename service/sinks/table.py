"""The file of the sinks, a table for each by its name, checked as a whole at start."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.modbus.settings import ModbusSettings
from onegauge.service.sinks.mqtt.settings import MqttSettings
from onegauge.service.sinks.opcua.settings import OpcUaSettings
from onegauge.service.sinks.settings import SinkSettings
from onegauge.service.sinks.webhook.settings import WebhookSettings

KINDS: Mapping[str, type[SinkSettings]] = {
    "modbus": ModbusSettings,
    "mqtt": MqttSettings,
    "opcua": OpcUaSettings,
    "webhook": WebhookSettings,
}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_WHO = re.compile(r"//.*@")  # of an address: a password, perhaps


def read_sinks(file: Path) -> dict[str, SinkSettings]:
    """The settings of each sink by its name; raises InvalidSinks."""
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except OSError as exc:
        raise InvalidSinks(f"ONEGAUGE_SINKS: {file} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # what is not TOML, or not UTF-8
        raise InvalidSinks(f"ONEGAUGE_SINKS: {file} is not TOML: {exc}") from exc
    return {name: _settings(f"{file} [{name}]", name, table) for name, table in tables.items()}


def _settings(where: str, name: str, table: object) -> SinkSettings:
    if not isinstance(table, dict):
        raise InvalidSinks(f"{where}: write each sink as a table, [{name}] and its settings below")
    if not _NAME.fullmatch(name):
        raise InvalidSinks(
            f"{where}: a sink is named by 1 to 32 of a-z, 0-9 and -, of which the first is no -"
        )
    kinds = ", ".join(KINDS)
    if "kind" not in table:
        raise InvalidSinks(f"{where} kind is missing: it is one of {kinds}")
    kind = KINDS.get(str(table["kind"]))
    if kind is None:
        raise InvalidSinks(f"{where} kind = {table['kind']!r}: it is none of {kinds}")
    try:
        return kind.model_validate(table)
    except ValidationError as exc:
        raise InvalidSinks("; ".join(_told(where, error) for error in exc.errors())) from exc


def _told(where: str, error: Mapping[str, Any]) -> str:
    """A sentence on what is wrong, with the key and the value."""
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"{where} {key} is missing"
    if error["type"] == "extra_forbidden":
        return f"{where} {key}: there is no such setting"
    message = error["msg"].removeprefix("Value error, ")
    value = _WHO.sub("//", repr(error["input"]))
    return f"{where} {key} = {value}: {message}" if key else f"{where}: {message}"
