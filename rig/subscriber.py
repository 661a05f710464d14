"""A client of an MQTT broker that keeps what it hears."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from threading import Condition, Event
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from rig.mosquitto import PASSWORD, READER, Mosquitto

WITHIN_S = 30.0
KEPT_S = 3600  # what the broker keeps for it while it is away


@dataclass(frozen=True)
class Heard:
    """A message; one that was retained was there before it was asked for."""

    topic: str
    payload: bytes
    retained: bool
    content_type: str


class Subscriber:
    """What was heard so far, in order."""

    def __init__(self) -> None:
        self._heard: list[Heard] = []
        self._changed = Condition()

    @property
    def heard(self) -> Sequence[Heard]:
        """All of it."""
        return tuple(self._heard)

    def of(self, leaf: str) -> list[Heard]:
        """All of topics whose last level is this."""
        return [heard for heard in self.heard if heard.topic.rpartition("/")[2] == leaf]

    def take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        """Keep a message."""
        content_type = getattr(message.properties, "ContentType", "")
        heard = Heard(message.topic, message.payload, message.retain, content_type)
        with self._changed:
            self._heard.append(heard)
            self._changed.notify_all()

    def wait_for(self, done: Callable[[], Any], within_s: float = WITHIN_S) -> None:
        """Return once it is so; raises AssertionError where that takes too long."""
        with self._changed:
            assert self._changed.wait_for(done, within_s), f"heard {len(self._heard)} messages"


@contextmanager
def subscriber(broker: Mosquitto, topics: str = "#") -> Iterator[Subscriber]:
    """Listens as long as the block lasts; comes back, and misses nothing, if the broker does."""
    listening, found = Subscriber(), Event()
    name = f"subscriber-{token_hex(4)}"  # another of the same would end it
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = listening.take
    # what it would acknowledge it lost with the rest of a connection that broke meanwhile
    client.on_connect = lambda *_: client.subscribe(topics, qos=0)
    client.on_subscribe = lambda *_: found.set()
    client.reconnect_delay_set(1, 1)
    client.username_pw_set(READER, PASSWORD)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = KEPT_S
    client.connect("127.0.0.1", broker.port, clean_start=False, properties=properties)
    client.loop_start()
    try:
        assert found.wait(WITHIN_S)
        yield listening
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_connect = None  # which has the client, and so its sockets
