"""An MQTT broker as a wire: an event is delivered once the broker has acknowledged it."""

from collections.abc import Sequence

from onegauge.service.sinks.event import INSPECTION, Event
from onegauge.service.sinks.mqtt.connection import Connection, Message
from onegauge.service.sinks.mqtt.settings import MqttSettings
from onegauge.service.sinks.mqtt.topics import Topics

ONLINE, OFFLINE = b"online", b"offline"


class Mqtt:
    """Publishes events below the topic of its settings; for one thread."""

    at_once = 200

    def __init__(self, settings: MqttSettings, client_id: str, gateway: str) -> None:
        self._settings, self._client_id = settings, client_id
        self._topics = Topics(settings.topic, gateway)
        self._connection: Connection | None = None

    def open(self) -> None:
        """Say that the gateway is online; raises SinkUnavailable."""
        status = self._topics.status
        will = Message(status, OFFLINE, retain=True)
        self._connection = Connection(self._settings, self._client_id, will)
        self._connection.open()
        self._connection.publish([Message(status, ONLINE, retain=True)])

    def send(self, events: Sequence[Event]) -> None:
        """Return once the broker has all; of none, once it is known to be there.

        Raises SinkUnavailable and RefusedEvent.
        """
        assert self._connection is not None
        messages, last = [], {}
        for event in events:
            message = Message(self._topics.of(event), event.to_json())
            messages.append(message)
            if event.type == INSPECTION:
                topic = self._topics.last(event)
                last[topic] = Message(topic, message.payload, retain=True)
        self._connection.publish([*messages, *last.values()])

    def close(self) -> None:
        """Have the broker say that the gateway is offline."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
