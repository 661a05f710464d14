"""Wires to a broker of the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onegauge.service.sinks.mqtt.settings import MqttSettings
from onegauge.service.sinks.mqtt.wire import Mqtt
from rig.mosquitto import USER, Mosquitto


def settings(broker: Mosquitto, **changed: Any) -> MqttSettings:
    known = {"url": broker.url, "user": USER, "password_file": broker.password_file}
    return MqttSettings(kind="mqtt", **known | changed)


@contextmanager
def opened(broker: Mosquitto, gateway: str = "hall-1", **changed: Any) -> Iterator[Mqtt]:
    wire = settings(broker, **changed).wire("broker", gateway)
    wire.open()
    try:
        yield wire
    finally:
        wire.close()
